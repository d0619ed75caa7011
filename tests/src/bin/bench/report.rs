//! Medians, and ratios to the floors.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::clients::Client;
use crate::machine;
use crate::measure::Sample;
use crate::workload::{CONNECTIONS, PART, Scale, WORKLOADS, Workload};

/// All that was measured.
pub(crate) struct Report {
    spread: bool,
    rounds: usize,
    scale: Scale,
    /// One sample a round.
    samples: BTreeMap<(&'static str, Client), Vec<Sample>>,
}

impl Report {
    pub(crate) fn new(spread: bool, rounds: usize, scale: Scale) -> Self {
        Self { spread, rounds, scale, samples: BTreeMap::new() }
    }

    pub(crate) fn add(&mut self, workload: &Workload, client: Client, sample: Sample) {
        self.samples.entry((workload.name, client)).or_default().push(sample);
    }

    fn rows(&self) -> impl Iterator<Item = Row<'_>> {
        WORKLOADS.iter().flat_map(|workload| Client::ALL.map(|client| (workload, client))).filter_map(
            |(workload, client)| {
                let samples = |client| self.samples.get(&(workload.name, client));
                Some(Row { workload, client, samples: samples(client)?, floor: samples(client.floor())? })
            },
        )
    }

    pub(crate) fn to_text(&self) -> String {
        let mut text = String::new();
        let mut workload = "";
        for row in self.rows() {
            if workload != row.workload.name {
                workload = row.workload.name;
                let _ = writeln!(
                    text,
                    "\n{workload:<15}{:>9}{:>9}{:>11}{:>11}{:>13}{:>10}   {:>6} {:>6} {:>6}  of the floor's",
                    "ops/s", "MB/s", "p50 us", "p99 us", "CPU us/op", "peak MiB", "ops/s", "CPU", "memory",
                );
            }
            let _ = writeln!(
                text,
                "  {:<13}{:>9.*}{:>9.0}{:>11.0}{:>11.0}{:>13.1}{:>10.1}   {:>6.2} {:>6.2} {:>6.2}",
                row.client.name(),
                if row.median(|s| s.ops) < 100.0 { 2 } else { 0 },
                row.median(|s| s.ops),
                row.median(|s| s.mb),
                row.median(|s| s.p50) * 1e6,
                row.median(|s| s.p99) * 1e6,
                row.median(|s| s.cpu) * 1e6,
                row.median(|s| s.memory) / MIB,
                row.ratio(|s| s.ops),
                row.ratio(|s| s.cpu),
                row.ratio(|s| s.memory),
            );
        }
        text
    }

    pub(crate) fn to_json(&self) -> String {
        let rows: Vec<_> = self.rows().map(|row| row.to_json()).collect();
        let Scale { in_turn, side_by_side, small, object, pages } = self.scale;
        let report = json!({
            "machine": machine::describe(),
            "spread": self.spread,
            "rounds": self.rounds,
            "scale": {
                "in_turn": in_turn,
                "side_by_side": side_by_side,
                "small": small,
                "object": object,
                "pages": pages,
                "part": PART,
                "connections": CONNECTIONS,
            },
            "rows": rows,
        });
        format!("{report:#}")
    }
}

const MIB: f64 = 1_048_576.0;

struct Row<'a> {
    workload: &'static Workload,
    client: Client,
    samples: &'a [Sample],
    floor: &'a [Sample],
}

impl Row<'_> {
    fn median(&self, figure: fn(&Sample) -> f64) -> f64 {
        median(self.samples.iter().map(figure))
    }

    /// To the floor's, round by round: what slows down a round slows down both.
    fn ratio(&self, figure: fn(&Sample) -> f64) -> f64 {
        median(self.samples.iter().zip(self.floor).map(|(own, floor)| figure(own) / figure(floor)))
    }

    fn to_json(&self) -> Value {
        json!({
            "workload": self.workload.name,
            "in_flight": self.workload.in_flight,
            "client": self.client.name(),
            "floor": self.client.floor().name(),
            "ops_per_second": self.median(|s| s.ops),
            "mb_per_second": self.median(|s| s.mb),
            "p50_seconds": self.median(|s| s.p50),
            "p99_seconds": self.median(|s| s.p99),
            "cpu_seconds_per_op": self.median(|s| s.cpu),
            "peak_bytes": self.median(|s| s.memory),
            "ratios": {
                "ops_per_second": self.ratio(|s| s.ops),
                "cpu_seconds_per_op": self.ratio(|s| s.cpu),
                "peak_bytes": self.ratio(|s| s.memory),
            },
            "samples": self.samples.iter().map(Sample::to_json).collect::<Vec<_>>(),
        })
    }
}

fn median(figures: impl Iterator<Item = f64>) -> f64 {
    let mut figures: Vec<_> = figures.collect();
    figures.sort_by(f64::total_cmp);
    let middle = figures.len() / 2;
    if figures.len() % 2 == 1 { figures[middle] } else { f64::midpoint(figures[middle - 1], figures[middle]) }
}
