//! What the driver makes of machines that do several things at a time.

// Helpers of tests are not known to be tests.
#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use std::io::{self, Read};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, mpsc};
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

use common::{Script, data, request, setup};
use s3_blocking::s3_proto::client::Driver as _;
use s3_blocking::s3_proto::files::{FileId, FileTask};
use s3_blocking::s3_proto::{Answer, BodyPlan, Machine, Now, Payload, Secret, SourceId, Step, Task, TaskId};
use s3_blocking::{Cancel, Client, Error, ErrorKind, Source};
use s3_test_server::Fault;

fn run(client: &Client, script: Script, source: Option<Source>) -> Result<Vec<String>, Error> {
    let heard = script.heard();
    client.driver().run(script, source)?;
    let heard = std::mem::take(&mut *heard.lock().unwrap());
    Ok(heard)
}

fn path(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("s3-blocking-machines-{name}-{}", std::process::id()))
}

/// Remembers which threads read from it.
struct Watched(Arc<Mutex<Vec<ThreadId>>>);

impl Read for Watched {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.lock().unwrap().push(thread::current().id());
        Ok(buffer.len())
    }
}

#[test]
fn a_task_that_is_alone_is_done_on_the_thread_that_calls() {
    let (client, server) = setup();
    let seen = Arc::new(Mutex::new(Vec::new()));

    let fill = || Task::Fill { len: 1000 };
    let rounds = vec![vec![fill()], vec![fill()]];
    let source = Source::unsized_reader(Watched(seen.clone()));
    let heard = run(&client, Script::new(rounds), Some(source)).unwrap();
    assert_eq!(heard, ["filled Ok(1000)", "filled Ok(1000)"]);

    let put = request(&server.endpoint(), "PUT", "key", Payload::source(5000, false));
    let source = Source::reader(Watched(seen.clone()), 5000);
    assert_eq!(run(&client, Script::new(vec![vec![put]]), Some(source)).unwrap(), ["end None"]);

    let seen = seen.lock().unwrap();
    assert!(seen.len() >= 3 && seen.iter().all(|id| *id == thread::current().id()));
}

#[test]
fn several_tasks_are_done_at_once() {
    let (client, server) = setup();
    server.on_request(|_| Some(Fault::Delay(Duration::from_millis(200))));
    let puts = (0..8).map(|i| {
        let payload = Payload::Bytes(data(i * 1000).into());
        request(&server.endpoint(), "PUT", &format!("key-{i}"), payload)
    });
    let began = Instant::now();
    let heard = run(&client, Script::new(vec![puts.collect()]), None).unwrap();
    assert_eq!(heard, ["end None"; 8]);
    assert!(began.elapsed() < Duration::from_millis(1200), "they waited for each other");
    assert_eq!(client.pool_stats().active, 0);
}

#[test]
fn ranges_of_files_go_out_and_come_back_in_any_order() {
    let (client, server) = setup();
    let (from, to) = (path("from"), path("to"));
    let content = data(1_000_003);
    std::fs::write(&from, &content).unwrap();
    let (source, target) = (FileId::new(1), FileId::new(2));
    let ranges = [(700_000, 300_003), (0, 300_000), (300_000, 400_000)];

    let puts = ranges.map(|(offset, len)| {
        let payload = Payload::Source { from: SourceId::File(source), offset, len, replayable: true };
        request(&server.endpoint(), "PUT", &format!("part-{offset}"), payload)
    });
    let gets = ranges
        .map(|(offset, _)| request(&server.endpoint(), "GET", &format!("part-{offset}"), Payload::Empty));
    let rounds = vec![
        vec![Task::File(FileTask::Open { id: source, path: from.clone() })],
        puts.into(),
        vec![Task::File(FileTask::Create { id: target, path: to.clone(), keep: false, temporary: false })],
        gets.into(),
        vec![Task::File(FileTask::Close { id: target })],
    ];
    let script = Script::new(rounds).sink(6, target, 700_000).sink(7, target, 0).sink(8, target, 300_000);
    let mut heard = run(&client, script, None).unwrap();

    heard.sort();
    let ends =
        ["end None", "end None", "end None", "end Some(300000)", "end Some(300003)", "end Some(400000)"];
    assert_eq!(heard[..6], ends);
    assert_eq!(heard[6..], ["filed true"; 3]);
    assert!(std::fs::read(&to).unwrap() == content);
    for path in [from, to] {
        std::fs::remove_file(path).unwrap();
    }
}

#[test]
fn a_body_that_breaks_on_its_way_into_a_file_says_how_much_is_there() {
    let (client, server) = setup();
    server.store().put("bucket", "key", data(1_000_000));
    server.on_request(|_| Some(Fault::CutBody(300_000)));
    let to = path("broken");
    let file = FileId::new(1);
    let rounds = vec![
        vec![Task::File(FileTask::Create { id: file, path: to.clone(), keep: false, temporary: false })],
        vec![request(&server.endpoint(), "GET", "key", Payload::Empty)],
    ];
    let heard = run(&client, Script::new(rounds).sink(2, file, 5), None).unwrap();
    assert_eq!(heard, ["filed true", "broken 300000"]);
    let written = std::fs::read(&to).unwrap();
    assert!(written[..5] == [0; 5] && written[5..] == data(300_000));
    std::fs::remove_file(to).unwrap();
}

#[test]
fn all_that_is_not_the_network_is_done_too() {
    let (client, server) = setup();
    let unopened = FileId::new(9);
    let from_nowhere =
        Payload::Source { from: SourceId::File(unopened), offset: 0, len: 5, replayable: true };
    let round = vec![
        Task::Resolve("localhost".to_owned()),
        Task::Run { argv: Secret::new(vec!["true".to_owned()]), limit: Duration::from_secs(60) },
        Task::ReadFile(path("nothing")),
        Task::Fill { len: 5 },
        Task::File(FileTask::Close { id: unopened }),
        request(&server.endpoint(), "PUT", "key", from_nowhere),
        request(&server.endpoint(), "PUT", "key", Payload::source(5, true)),
    ];
    let mut heard = run(&client, Script::new(vec![round]), None).unwrap();
    heard.sort();
    assert_eq!(heard[0], "exited Ok(Some(0))");
    assert_eq!(heard[1..3], ["file true", "filed true"]);
    assert!(heard[3].starts_with("filled Err("), "no source came with the call: {}", heard[3]);
    assert_eq!(heard[4..], ["resolved true", "source failed", "source failed"]);
}

#[test]
fn a_deadline_of_the_machine_ends_what_it_then_cancels() {
    let (client, server) = setup();
    server.on_request(|_| Some(Fault::Stall));
    for tasks in [1, 3] {
        let round = (0..tasks).map(|_| request(&server.endpoint(), "GET", "key", Payload::Empty)).collect();
        let (client, began) = (client.clone(), Instant::now());
        let now = Duration::from_secs(1);
        let error = run(&client, Script::new(vec![round]).cancelling_at(now), None).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Cancelled);
        assert!(began.elapsed() < Duration::from_secs(3));
        assert_eq!((client.pool_stats().active, client.pool_stats().open), (0, 0));
    }
}

/// Panics when it is read.
struct Panicking;

impl Read for Panicking {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        panic!("the reader panics");
    }
}

#[test]
fn a_reader_that_panics_does_so_for_its_user() {
    let (client, _server) = setup();
    for at_once in [1, 2] {
        let round = (0..at_once).map(|_| Task::Fill { len: 5 }).collect();
        let source = Source::unsized_reader(Panicking);
        let script = Script::new(vec![round]);
        let result =
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| run(&client, script, Some(source))));
        let panic = result.unwrap_err();
        assert_eq!(panic.downcast_ref::<&str>(), Some(&"the reader panics"));
    }
}

#[test]
fn a_wait_is_ended_by_cancelling() {
    /// Waits for an hour.
    struct Patient {
        waits: mpsc::Sender<()>,
        cancelled: bool,
    }

    impl Machine for Patient {
        type Item = ();
        type Output = ();

        fn poll(&mut self, now: Now) -> Step<(), ()> {
            if self.cancelled {
                return Step::Done(Err(Error::new(ErrorKind::Cancelled, "cancelled")));
            }
            self.waits.send(()).unwrap();
            Step::Wait(Some(now.mono.saturating_add(Duration::from_secs(3600))))
        }

        fn answer(&mut self, _: Now, _: TaskId, _: Answer<'_>) -> BodyPlan {
            BodyPlan::Discard
        }

        fn cancel(&mut self, _: Now) {
            self.cancelled = true;
        }
    }

    let (client, _server) = setup();
    let (cancel, (waits, waiting)) = (Cancel::new(), mpsc::channel());
    let began = Instant::now();
    let handle = cancel.clone();
    thread::scope(|scope| {
        scope.spawn(move || {
            waiting.recv().unwrap();
            handle.cancel();
        });
        let machine = Patient { waits, cancelled: false };
        let error = client.with_cancel(&cancel).driver().run(machine, None).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Cancelled);
    });
    assert!(began.elapsed() < Duration::from_secs(10));
}

#[test]
fn a_machine_that_waits_for_nothing_is_an_error_and_no_hang() {
    struct Idle;

    impl Machine for Idle {
        type Item = ();
        type Output = ();

        fn poll(&mut self, _: Now) -> Step<(), ()> {
            Step::Wait(None)
        }

        fn answer(&mut self, _: Now, _: TaskId, _: Answer<'_>) -> BodyPlan {
            BodyPlan::Discard
        }

        fn cancel(&mut self, _: Now) {}
    }

    let (client, _server) = setup();
    assert_eq!(client.driver().run(Idle, None).unwrap_err().kind(), ErrorKind::ApiMisuse);
}
