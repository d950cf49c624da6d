//! Readers that take events: ids are offsets, and `EventSource` comes back by them.

use super::upstream::Paced;
use super::{ANYONE, ask, begin, proxy};

/// As a browser reads events: its data and the id that it would come back with.
fn read(text: &str) -> Vec<(String, String)> {
    let (mut events, mut data, mut id) = (Vec::new(), Vec::new(), String::new());
    let text = text.trim_start_matches('\u{feff}');
    for line in text.replace("\r\n", "\n").replace('\r', "\n").split('\n') {
        if let Some(value) = line.strip_prefix("data:") {
            data.push(value.trim_start().to_owned());
        } else if let Some(value) = line.strip_prefix("id:") {
            value.trim_start().clone_into(&mut id);
        } else if line.is_empty() && !data.is_empty() {
            events.push((data.join("\n"), id.clone()));
            data.clear();
        }
    }
    events
}

#[test]
fn an_event_source_that_comes_back_after_any_event_misses_none_and_repeats_none() {
    let upstream = Paced::start("text/event-stream");
    let fixture = proxy(upstream.address, 1, ANYONE, "");
    let (mut client, id) = begin(fixture.address(), "");
    let mut answer = upstream.next();
    let sent = "\u{feff}data: 0\n\n: note\n\nid: theirs\ndata: 1\r\n\r\ndata: 2\r\rdata: 3\ndata: and\n\nevent: x\ndata: 4\n\n\n\ndata: 5\n\n";
    for piece in sent.as_bytes().chunks(5) {
        answer.send(piece);
    }
    answer.finish();
    let mut raw = Vec::new();
    assert!(client.chunks(&mut raw));
    assert_eq!(raw, sent.as_bytes(), "the client that began it is told no ids");
    let path = format!("GET /streams/{id}");
    let whole = ask(fixture.address(), &path, "accept: text/event-stream\r\n");
    let events = read(&whole.text());
    let data: Vec<_> = events.iter().map(|(data, _)| data.as_str()).collect();
    assert_eq!(data, ["0", "1", "2", "3\nand", "4", "5"]);
    for (nth, (_, cursor)) in events.iter().enumerate() {
        let by_header = format!("accept: */*, text/event-stream\r\nlast-event-id: {cursor}\r\n");
        let by_query = format!("{path}?lastEventID={cursor}&from=0");
        for given in [
            ask(fixture.address(), &path, &by_header),
            ask(fixture.address(), &by_query, "accept: text/event-stream;q=0.9\r\n"),
        ] {
            if nth + 1 == events.len() {
                // So that it does not come back for ever.
                assert_eq!((given.status, given.body.len()), (204, 0), "{given:?}");
                continue;
            }
            assert_eq!(given.header("last-event-id"), Some(cursor.as_str()));
            let text = given.text();
            assert_eq!(read(&text), events[nth + 1..], "after {cursor}: {text:?}");
        }
    }
}

#[test]
fn what_is_no_stream_of_events_is_given_as_it_is() {
    let upstream = Paced::start("application/x-ndjson");
    let fixture = proxy(upstream.address, 1, ANYONE, "");
    let (_client, id) = begin(fixture.address(), "");
    let mut answer = upstream.next();
    answer.send(b"data: 1\n\n{}\n");
    answer.finish();
    let path = format!("GET /streams/{id}?from=1");
    let given = ask(fixture.address(), &path, "accept: text/event-stream\r\n");
    assert_eq!((given.status, given.text().as_str()), (200, "ata: 1\n\n{}\n"));
}
