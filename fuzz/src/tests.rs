//! Replays the seeds, and tries some bytes at random.

use std::path::{Path, PathBuf};

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::TARGETS;

fn seeds(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds").join(name)
}

/// Says which input it was, if the target panics.
fn run(target: &super::Target, input: &[u8], from: &str) {
    let result = std::panic::catch_unwind(|| (target.run)(input));
    assert!(result.is_ok(), "{}: {from}: {}", target.name, input.escape_ascii());
}

#[test]
fn every_seed_passes() {
    for target in TARGETS {
        let mut paths: Vec<_> = std::fs::read_dir(seeds(target.name))
            .unwrap_or_else(|error| panic!("{} has no seeds: {error}", target.name))
            .map(|entry| entry.unwrap().path())
            .collect();
        paths.sort();
        assert!(!paths.is_empty(), "{} has no seeds", target.name);
        for path in paths {
            run(target, &std::fs::read(&path).unwrap(), &path.display().to_string());
        }
    }
}

/// Cut, doubled and changed seeds get deeper than random bytes do.
#[test]
fn seeds_with_a_change_pass() {
    for target in TARGETS {
        for entry in std::fs::read_dir(seeds(target.name)).unwrap() {
            let seed = std::fs::read(entry.unwrap().path()).unwrap();
            let places = (0..seed.len()).step_by(1 + seed.len() / 6);
            for at in places {
                run(target, &seed[..at], "cut");
                run(target, &[&seed[..at], b"\xFF<", &seed[at..]].concat(), "with more");
                let mut changed = seed.clone();
                changed[at] ^= 0x11;
                run(target, &changed, "changed");
            }
        }
    }
}

#[test]
fn random_bytes_pass() {
    for target in TARGETS {
        let config =
            Config { cases: 48, failure_persistence: None, max_shrink_iters: 0, ..Config::default() };
        let result = TestRunner::new(config).run(&vec(any::<u8>(), 0..300), |input| {
            (target.run)(&input);
            Ok(())
        });
        result.unwrap_or_else(|error| panic!("{}: {error}", target.name));
    }
}

#[test]
fn every_target_can_be_built_by_cargo_fuzz() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let manifest = std::fs::read_to_string(folder.join("Cargo.toml")).unwrap();
    for target in TARGETS {
        assert!(manifest.contains(&format!("name = \"{}\"\n", target.name)), "{}", target.name);
        assert!(folder.join("targets").join(format!("{}.rs", target.name)).exists(), "{}", target.name);
    }
    assert_eq!(manifest.matches("[[bin]]").count(), TARGETS.len());
}
