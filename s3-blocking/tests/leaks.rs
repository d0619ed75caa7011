//! What is left when a call was cancelled or dropped: nothing. The only test of its process, since it counts threads.
#![cfg(target_os = "linux")]
// Helpers of tests are not known to be tests.
#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time;
use std::time::Duration;

use common::{Script, data, request, setup};
use s3_blocking::s3_proto::client::Driver as _;
use s3_blocking::s3_proto::files::{FileId, FileTask};
use s3_blocking::s3_proto::{Answer, BodyPlan, Instant, Machine, Now, Payload, SourceId, Step, Task, TaskId};
use s3_blocking::{Cancel, Client, ErrorKind};
use s3_test_server::{Fault, Server};

/// Threads of the driver.
fn threads() -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let names = tasks.filter_map(|task| std::fs::read_to_string(task.unwrap().path().join("comm")).ok());
    names.filter(|name| ["s3-task", "s3-resolve"].contains(&name.trim())).count()
}

/// The system shows threads, and the server counts connections, for a moment after their end.
fn in_a_moment(what: &str, is_so: impl Fn() -> bool) {
    let until = time::Instant::now() + Duration::from_secs(10);
    while !is_so() {
        assert!(time::Instant::now() < until, "{what}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// Takes a connection and the first bytes of a request, and no more while the client is there. Counts them.
fn stubborn() -> (String, Arc<AtomicUsize>, thread::JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let taken = Arc::new(AtomicUsize::new(0));
    let count = taken.clone();
    let taking = thread::spawn(move || {
        // One for each of two scenarios.
        for _ in 0..2 {
            let (mut stream, _) = listener.accept().unwrap();
            stream.read_exact(&mut [0; 100]).unwrap();
            count.fetch_add(1, Ordering::Relaxed);
            // It is no error to write to a connection that the other side has closed only for writing.
            while stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").is_ok() {
                thread::sleep(Duration::from_millis(5));
            }
        }
    });
    (endpoint, taken, taking)
}

fn nothing_is_left(client: &Client, server: &Server, when: &str) {
    assert_eq!((client.pool_stats().active, client.pool_stats().open), (0, 0), "connections, {when}");
    in_a_moment(when, || threads() == 0);
    in_a_moment(when, || server.open_connections() == 0);
    server.clear_requests();
}

#[test]
fn nothing_is_left_of_what_was_cancelled_or_dropped() {
    let (client, server) = setup();
    server.store().put("bucket", "key", data(5_000_000));
    let folder = std::env::temp_dir().join(format!("s3-blocking-leaks-{}", std::process::id()));
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("from"), data(10_000_000)).unwrap();

    // Parallel tasks in every stage: a file that is written, one that is read, an answer that does not come.
    server.on_request(|head| match head.target.as_str() {
        "/bucket/key" => Some(Fault::StallBody(1_000_000)),
        _ => Some(Fault::Stall),
    });
    let (stubborn, taken, taking) = stubborn();
    let (from, to) = (FileId::new(1), FileId::new(2));
    let script = || {
        let part =
            Payload::Source { from: SourceId::File(from), offset: 0, len: 10_000_000, replayable: true };
        let open = FileTask::Open { id: from, path: folder.join("from") };
        let create = FileTask::Create { id: to, path: folder.join("to.part"), keep: false, temporary: true };
        let rounds = vec![
            vec![Task::File(open), Task::File(create)],
            vec![
                request(&server.endpoint(), "GET", "key", Payload::Empty),
                request(&stubborn, "PUT", "stalls", part),
                request(&server.endpoint(), "GET", "stalls", Payload::Empty),
            ],
        ];
        Script::new(rounds).sink(3, to, 0)
    };
    let cancel = Cancel::new();
    let result = thread::scope(|scope| {
        scope.spawn(|| {
            in_a_moment("requests", || server.requests().len() == 2 && taken.load(Ordering::Relaxed) == 1);
            cancel.cancel();
        });
        client.with_cancel(&cancel).driver().run(script(), None)
    });
    assert_eq!(result.unwrap_err().kind(), ErrorKind::Cancelled);
    nothing_is_left(&client, &server, "after parallel tasks");
    assert!(!folder.join("to.part").exists(), "a temporary file is left");

    // The same, but the iterator that drives it is dropped: here the calls are still under way.
    let mut items = client.driver().items(Yielding { script: script(), due: None, yielded: false });
    assert!(items.next().unwrap().is_ok());
    in_a_moment("requests", || server.requests().len() == 2 && taken.load(Ordering::Relaxed) == 2);
    assert_eq!((client.pool_stats().active, folder.join("to.part").exists()), (3, true));
    assert_eq!(threads(), 3);
    drop(items);
    nothing_is_left(&client, &server, "after an iterator that was dropped");
    taking.join().unwrap();
    assert!(!folder.join("to.part").exists(), "a temporary file is left");

    // A body that its user is reading, on the user's own thread.
    let cancel = Cancel::new();
    let mut body = client.with_cancel(&cancel).get_object("bucket", "key").send().unwrap().body;
    thread::scope(|scope| {
        scope.spawn(|| {
            thread::sleep(Duration::from_millis(100));
            cancel.cancel();
        });
        let error = body.read_to_end(&mut Vec::new()).unwrap_err();
        let error = error.get_ref().unwrap().downcast_ref::<s3_blocking::Error>().unwrap();
        assert_eq!(error.kind(), ErrorKind::Cancelled);
    });
    nothing_is_left(&client, &server, "after a body that was cancelled");

    // One that is dropped half-way.
    let mut body = client.get_object("bucket", "key").send().unwrap().body;
    body.read_exact(&mut [0; 1000]).unwrap();
    drop(body);
    nothing_is_left(&client, &server, "after a body that was dropped");

    std::fs::remove_dir_all(folder).unwrap();
}

/// Yields something while its tasks are under way, so that its user can go away in the middle.
struct Yielding {
    script: Script,
    due: Option<Instant>,
    yielded: bool,
}

impl Machine for Yielding {
    type Item = ();
    type Output = ();

    fn poll(&mut self, now: Now) -> Step<(), ()> {
        match (self.script.poll(now), self.due) {
            // Both files are open, and what comes after that has begun when this is over.
            (Step::Wait(_), None) if self.script.heard().lock().unwrap().len() == 2 => {
                let due = now.mono.saturating_add(Duration::from_millis(200));
                self.due = Some(due);
                Step::Wait(Some(due))
            }
            (Step::Wait(_), Some(due)) if now.mono >= due && !self.yielded => {
                self.yielded = true;
                Step::Item(())
            }
            (Step::Wait(_), Some(due)) if !self.yielded => Step::Wait(Some(due)),
            (step, _) => step,
        }
    }

    fn answer(&mut self, now: Now, id: TaskId, answer: Answer<'_>) -> BodyPlan {
        self.script.answer(now, id, answer)
    }

    fn cancel(&mut self, now: Now) {
        self.script.cancel(now);
    }
}
