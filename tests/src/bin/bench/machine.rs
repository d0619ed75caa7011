//! What the system knows of this process, and of the machine.

use std::thread::available_parallelism;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use serde_json::{Value, json};

/// Keeps this process on one processor, if there are enough and it is not to spread.
pub(crate) fn pin(cpu: usize, spread: bool) {
    #[cfg(target_os = "linux")]
    if !spread && available_parallelism().unwrap().get() > cpu {
        use rustix::thread::{CpuSet, sched_setaffinity};
        let mut set = CpuSet::new();
        set.set(cpu);
        sched_setaffinity(None, &set).unwrap();
    }
    #[cfg(not(target_os = "linux"))]
    let _ = (cpu, spread);
}

/// What all threads of this process have used so far, those of the past included.
pub(crate) fn cpu_time() -> Duration {
    clock_gettime(ClockId::ProcessCPUTime).try_into().unwrap()
}

/// The most memory that this process has had, in bytes.
pub(crate) fn peak_memory() -> u64 {
    let status = read("/proc/self/status");
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    peak.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}

/// What the figures were measured on.
pub(crate) fn describe() -> Value {
    let memory = read("/proc/meminfo");
    let memory = memory.lines().find_map(|line| line.strip_prefix("MemTotal:")).unwrap_or_default();
    let cpus = read("/proc/cpuinfo");
    let model = cpus.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or_default();
    json!({
        "processors": available_parallelism().unwrap().get(),
        "model": model.trim_start_matches([' ', '\t', ':']),
        "memory": memory.trim(),
        "kernel": read("/proc/sys/kernel/osrelease").trim(),
        "architecture": std::env::consts::ARCH,
    })
}

fn read(path: &str) -> String {
    std::fs::read_to_string(path).unwrap()
}
