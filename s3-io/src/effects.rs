//! What a machine asks for beside HTTP, carried out on whatever thread may block.

use std::io::{self, Read};
use std::net::{IpAddr, ToSocketAddrs as _};
use std::pin::pin;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use s3_proto::files::FileReply;
use s3_proto::{Answer, Credentials, Error, ErrorKind, Exit, Secret, Task};

use crate::files::read_small;
use crate::{Cancel, Files};

/// What a task came to.
#[derive(Debug)]
pub enum Effect {
    /// [`Task::ReadFile`]
    Read(Result<Option<Secret<Vec<u8>>>, String>),
    /// [`Task::File`]
    Filed(io::Result<FileReply>),
    /// [`Task::Resolve`]
    Resolved(Result<Vec<IpAddr>, String>),
    /// [`Task::Run`]
    Exited(Result<Exit, String>),
    /// [`Task::Provide`]
    Provided(Result<Credentials, Error>),
}

impl Effect {
    /// As the machine is told.
    pub fn into_answer(self) -> Answer<'static> {
        match self {
            Self::Read(content) => Answer::File(content),
            Self::Filed(reply) => Answer::Filed(reply),
            Self::Resolved(addresses) => Answer::Resolved(addresses),
            Self::Exited(exit) => Answer::Exited(exit),
            Self::Provided(result) => Answer::Provided(result),
        }
    }
}

/// Carries out a task; blocks until it is done. `cancel` ends those early that may take long and leave nothing: programs,
/// and the user's own code.
///
/// # Errors
/// Gives the task back if it is none of those that stand in [`Effect`].
pub fn perform(files: &Files, task: Task, cancel: &Cancel) -> Result<Effect, Task> {
    Ok(match task {
        Task::ReadFile(path) => Effect::Read(read_small(&path)),
        Task::File(task) => Effect::Filed(files.perform(task)),
        Task::Resolve(host) => Effect::Resolved(resolve(&host)),
        Task::Run { argv, limit } => Effect::Exited(run(argv.expose(), limit, cancel)),
        Task::Provide(provide) => {
            Effect::Provided(block_on(provide, cancel).unwrap_or_else(|| Err(cancelled())))
        }
        other => return Err(other),
    })
}

fn cancelled() -> Error {
    Error::new(ErrorKind::Cancelled, "the call ended before there were credentials")
}

/// Waits for a future, or until nobody wants it any more. One that belongs to a runtime goes on if that runs on other
/// threads meanwhile.
fn block_on<T>(future: impl Future<Output = T>, cancel: &Cancel) -> Option<T> {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let unpark = Arc::new(Unpark(thread::current()));
    let waker = Waker::from(unpark.clone());
    let _registration = cancel.on_cancel(move || unpark.wake());
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return Some(output);
        }
        if cancel.is_cancelled() {
            return None;
        }
        thread::park();
    }
}

fn resolve(host: &str) -> Result<Vec<IpAddr>, String> {
    // The port is of no matter, but the resolver wants one.
    let addresses = (host, 0).to_socket_addrs().map_err(|error| error.to_string())?;
    Ok(addresses.map(|address| address.ip()).collect())
}

/// The most that is read of what a program prints.
const MAX_OUTPUT: usize = 1024 * 1024;

/// How much of its standard error is kept: the end, which says why.
const MAX_COMPLAINT: usize = 4 * 1024;

/// How often it is looked whether a program has ended: it cannot be waited for with a limit.
const LOOK: Duration = Duration::from_millis(5);

fn run(argv: &[String], limit: Duration, cancel: &Cancel) -> Result<Exit, String> {
    let (program, arguments) = argv.split_first().ok_or("no program is named")?;
    // Arguments may be secret; the program's name is the user's own.
    let failed = |error: io::Error| format!("{program} cannot be run: {error}");
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(failed)?;
    // Both are read at once: a program that fills one pipe would wait for ever. The threads end with the pipes.
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let stdout = thread::spawn(move || stdout.map(read_output));
    let stderr = thread::spawn(move || stderr.map(read_complaint));
    let until = Instant::now() + limit;
    let mut code = None;
    while code.is_none() || !stdout.is_finished() || !stderr.is_finished() {
        let is_over = Instant::now() >= until;
        if is_over || cancel.is_cancelled() {
            // If it cannot be killed there is nothing else to do about it.
            let _ = child.kill();
            let _ = child.wait();
            return Err(if is_over {
                format!("{program} did not end within {} s", limit.as_secs_f64())
            } else {
                format!("{program} was ended with the call")
            });
        }
        code = child.try_wait().map_err(failed)?.map(|status| status.code());
        thread::sleep(LOOK);
    }
    let unread = || format!("the output of {program} could not be read");
    let stdout =
        stdout.join().ok().flatten().ok_or_else(unread)?.map_err(|error| format!("{}: {error}", unread()))?;
    if stdout.expose().len() > MAX_OUTPUT {
        return Err(format!("{program} printed more than 1 MiB"));
    }
    let stderr = stderr.join().ok().flatten().unwrap_or_default();
    Ok(Exit { code: code.flatten(), stdout, stderr })
}

fn read_output(pipe: impl Read) -> io::Result<Secret<Vec<u8>>> {
    // All at once, so that growing leaves no copies of secrets behind.
    let mut output = Vec::with_capacity(MAX_OUTPUT + 1);
    pipe.take(MAX_OUTPUT as u64 + 1).read_to_end(&mut output)?;
    Ok(Secret::new(output))
}

fn read_complaint(mut pipe: impl Read) -> String {
    let (mut kept, mut piece) = (Vec::new(), [0; MAX_COMPLAINT]);
    // What cannot be read is not said.
    while let Ok(read @ 1..) = pipe.read(&mut piece) {
        kept.extend_from_slice(piece.get(..read).unwrap_or_default());
        kept.drain(..kept.len().saturating_sub(MAX_COMPLAINT));
    }
    String::from_utf8_lossy(&kept).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(script: &str, limit: Duration) -> Result<Exit, String> {
        run(&["sh", "-c", script].map(str::to_owned), limit, &Cancel::never())
    }

    const LONG: Duration = Duration::from_mins(1);

    #[test]
    fn a_future_is_waited_for_until_somebody_wakes_it() {
        let (sender, receiver) = std::sync::mpsc::channel::<Waker>();
        let waking = thread::spawn(move || receiver.recv().unwrap().wake());
        let mut asked = false;
        let waiting = std::future::poll_fn(|context| {
            if std::mem::replace(&mut asked, true) {
                return Poll::Ready(7);
            }
            sender.send(context.waker().clone()).unwrap();
            Poll::Pending
        });
        let output = block_on(waiting, &Cancel::never());
        waking.join().unwrap();
        assert_eq!(output, Some(7));
    }

    #[test]
    fn what_nobody_wants_any_more_is_not_waited_for() {
        let cancel = Cancel::new();
        thread::scope(|scope| {
            scope.spawn(|| {
                thread::sleep(Duration::from_millis(50));
                cancel.cancel();
            });
            assert_eq!(block_on(std::future::pending::<()>(), &cancel), None);
        });
        let error = run(&["sleep", "600"].map(str::to_owned), LONG, &cancel).unwrap_err();
        assert_eq!(error, "sleep was ended with the call");
    }

    #[test]
    fn a_program_says_how_it_ended_and_what_it_printed() {
        let exit = sh("printf secret; printf why >&2; exit 3", LONG).unwrap();
        assert_eq!((exit.code, &exit.stdout.expose()[..], &*exit.stderr), (Some(3), &b"secret"[..], "why"));
        assert!(!format!("{exit:?}").contains("secret"));
    }

    #[test]
    fn both_outputs_may_be_longer_than_a_pipe() {
        let exit = sh("yes 1234567 | head -c 500000; yes 1234567 | head -c 500000 >&2", LONG).unwrap();
        assert_eq!((exit.stdout.expose().len(), exit.stderr.len()), (500_000, MAX_COMPLAINT));
    }

    #[test]
    fn a_program_that_does_not_end_is_killed() {
        let error = sh("exec sleep 600", Duration::from_millis(50)).unwrap_err();
        assert_eq!(error, "sh did not end within 0.05 s");
    }

    #[test]
    fn too_much_output_is_refused() {
        assert_eq!(sh("yes | head -c 2000000", LONG).unwrap_err(), "sh printed more than 1 MiB");
    }

    #[test]
    fn a_program_that_is_not_there_is_named() {
        let argv = ["/no/such/program", "secret"].map(str::to_owned);
        let error = run(&argv, LONG, &Cancel::never()).unwrap_err();
        assert!(
            error.starts_with("/no/such/program cannot be run: ") && !error.contains("secret"),
            "{error}"
        );
    }

    #[test]
    fn the_name_of_this_machine_has_addresses() {
        assert!(resolve("localhost").unwrap().iter().all(IpAddr::is_loopback));
        assert!(resolve("does-not-exist.invalid").is_err());
    }
}
