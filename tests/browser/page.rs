use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};

use super::drive;
use crate::support::program::program;

/// `firstbyte demo --keep`. Dropped, it is killed.
struct Demo {
    child: Child,
    page: String,
}

impl Demo {
    /// Starts it and reads where its page is.
    fn start() -> Self {
        let arguments = ["demo", "--keep", "--requests", "1", "--tokens", "1"];
        let child = program().args(arguments).stdout(Stdio::piped()).spawn();
        let mut child = child.expect("the program starts");
        let mut lines = BufReader::new(child.stdout.take().expect("it is piped")).lines();
        let page = lines.find_map(|line| {
            let line = line.expect("text").trim().to_owned();
            (line.starts_with("http://") && line.ends_with("/page")).then_some(line)
        });
        // What it goes on to say must find a reader.
        std::thread::spawn(move || lines.count());
        Self { child, page: page.expect("the page's address") }
    }

    fn drive(&self, case: &str) -> Option<serde_json::Value> {
        drive(case, self.page.strip_suffix("/page").expect("its path"), &self.page)
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}

#[test]
fn a_stream_resumes_in_a_browser_where_the_network_dropped_it() {
    let demo = Demo::start();
    let Some(seen) = demo.drive("resumed") else { return };
    assert_eq!((&seen["state"], &seen["verified"]), (&"ended".into(), &"true".into()), "{seen}");
    // 200 words, each once, and the event that says that it is all.
    assert_eq!(seen["text"].as_str().map(|text| text.split_whitespace().count()), Some(200));
    assert_eq!(seen["events"], 202, "{seen}");
    let drops = seen["drops"].as_array().expect("two");
    for dropped in drops {
        assert_eq!(dropped["before"], dropped["after"], "bytes came over a network that was down");
    }
    let at = |nth: usize| drops[nth]["after"].as_u64().expect("a number");
    let whole = seen["bytes"].as_u64().expect("a number");
    assert!(0 < at(0) && at(0) < at(1) && at(1) < whole, "{seen}");
    assert!(seen["inked"].as_u64() > Some(1_000), "the strip is empty: {seen}");
}

/// `EventSource` by itself, over a wire that is cut twice: each event once, in order, each with the offset of its end.
#[test]
fn an_event_source_comes_back_to_a_kept_stream_by_itself() {
    let Some(seen) = Demo::start().drive("cut") else { return };
    let whole = seen["whole"].as_str().expect("a text");
    let data: Vec<_> = whole.lines().filter_map(|line| line.strip_prefix("data: ")).collect();
    assert_eq!(seen["data"], serde_json::json!(data), "{seen}");
    assert!(seen["errors"].as_u64() >= Some(2), "it was not cut: {seen}");
    let ends: Vec<_> = whole.match_indices("\n\n").map(|(at, end)| at + end.len()).collect();
    assert_eq!(seen["ids"], serde_json::json!(ends), "{seen}");
}

#[test]
fn the_page_stops_a_stream_upstream() {
    let Some(seen) = Demo::start().drive("stopped") else { return };
    assert!(seen["said"].as_str().is_some_and(|said| said.starts_with("Stopped")), "{seen}");
}
