//! The wall clock jumps, by libfaketime: rates go by another clock, and budgets by days that have been.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use loadtest::upstream::Upstream;

use crate::keys::{answering, ask, chat, file, key};
use crate::support::fixture::{PATIENCE, scratch};
use crate::support::installed::installed;
use crate::support::message::{Answer, Ask};
use crate::support::peers::http1_client::Http1;
use crate::support::program::{Program, program};

const HOUR: i64 = 3_600;
const DAY: i64 = 24 * HOUR;

/// A proxy whose wall clock is set by a file. Its monotonic one is the machine's: an operator, or NTP, sets only the other.
struct Set {
    program: Program,
    offset: PathBuf,
}

impl Set {
    /// `None` where the machine has no libfaketime.
    fn start(upstream: &Upstream, clients: &str, offset: i64) -> Option<Self> {
        let library = library()?;
        let folder = scratch();
        let (config, file_of_offset) = (folder.join("firstbyte.yaml"), folder.join("offset"));
        fs::write(&config, file(upstream, 1, clients)).expect("the file can be written");
        fs::write(&file_of_offset, text(offset)).expect("the file can be written");
        let mut command = program();
        command
            .env("LD_PRELOAD", library)
            .env("FAKETIME_TIMESTAMP_FILE", &file_of_offset)
            .env("FAKETIME_NO_CACHE", "1")
            .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
            .env("DONT_FAKE_MONOTONIC", "1");
        let program = Program::spawn(command.arg("-c").arg(config));
        Some(Self { program, offset: file_of_offset })
    }

    /// Seconds before or after the machine's. A file that is there at once and whole: it is read at any moment.
    fn set(&self, offset: i64) {
        let beside = self.offset.with_extension("new");
        fs::write(&beside, text(offset)).expect("the file can be written");
        fs::rename(beside, &self.offset).expect("it can be renamed");
    }

    fn connect(&self) -> Http1 {
        Http1::new(self.program.connect())
    }

    /// What is left of a budget of tokens.
    fn left(&self) -> u64 {
        let series = "firstbyte_client_balance{client=\"app-a\",limit=\"budget_tokens\"}";
        self.program.count(series)
    }
}

fn library() -> Option<PathBuf> {
    installed("faketime")?;
    let folders = fs::read_dir("/usr/lib").expect("a folder").flatten();
    folders.map(|folder| folder.path().join("faketime/libfaketimeMT.so.1")).find(|it| it.is_file())
}

fn text(offset: i64) -> String {
    format!("{offset:+}")
}

fn asked(client: &mut Http1, ask: &Ask) -> Answer {
    let answer = client.ask(ask);
    assert!([200, 401, 429].contains(&answer.status), "{answer:?}");
    answer
}

/// The date on which a client's key expires: in half an hour by the machine's clock.
fn in_half_an_hour() -> String {
    let output = std::process::Command::new("date")
        .args(["-u", "-d", "+30 minutes", "+%Y-%m-%dT%H:%M:%SZ"])
        .output()
        .expect("coreutils");
    String::from_utf8(output.stdout).expect("text").trim().to_owned()
}

#[test]
fn jumps_of_an_hour_leave_a_rate_as_it_is() {
    // Twenty a second: less than a client on a loaded machine can ask for. And five seconds' worth at once: it may be
    // held up for so long, and nothing is lost.
    let clients = format!(
        "clients:\n  - name: app-a\n    key: {}\n    limits: {{ rpm: 1200, burst: 5s }}\n\
         \x20 - name: witness\n    key: {}\n    expires: {}\n",
        key("app-a"),
        key("witness"),
        in_half_an_hour()
    );
    let upstream = answering(|_| chat(1, 1));
    let Some(proxy) = Set::start(&upstream, &clients, 0) else { return };
    let (mut client, mut witness) = (proxy.connect(), proxy.connect());
    let (overload, seen) = (ask("app-a"), ask("witness"));
    let (mut served, mut first, mut jumps) = (0_u64, None, 0);
    let begun = Instant::now();
    let (lower, upper) = loop {
        let sent = Instant::now();
        let status = asked(&mut client, &overload).status;
        let read = Instant::now();
        served += u64::from(status == 200);
        let (first_sent, first_read) = *first.get_or_insert((sent, read));
        // Refused: nothing was left at some moment between the two, so all that flowed in was served.
        if status == 429 && begun.elapsed() > Duration::from_secs(5) {
            break (sent - first_read, read - first_sent);
        }
        if begun.elapsed() > Duration::from_millis(600) * (jumps + 1) {
            let offset = [HOUR, -HOUR, 0][jumps as usize % 3];
            proxy.set(offset);
            jumps += 1;
            // The clock has jumped: whose key expires between is refused on one side.
            let expected = if offset == HOUR { 401 } else { 200 };
            assert_eq!(asked(&mut witness, &seen).status, expected, "{offset}");
        }
        assert!(begun.elapsed() < PATIENCE, "never refused");
    };
    assert!(jumps >= 3, "forward, back and to where it was");
    let due = |time: Duration| 100.0 + 20.0 * time.as_secs_f64();
    let (served, lower, upper) = (served as f64, due(lower), due(upper));
    assert!(served >= lower * 0.99 && served <= upper * 1.01, "{served}, {lower} to {upper}");
}

#[test]
fn a_day_s_budget_begins_anew_at_midnight_and_a_clock_set_back_gives_no_second_one() {
    let upstream = answering(|_| chat(6, 4));
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
    let before_midnight = DAY - i64::try_from(now).expect("seconds") % DAY - 300;
    let clients = format!(
        "clients:\n  - name: app-a\n    key: {}\n    budget: {{ tokens: 10, per: day }}\n",
        key("app-a")
    );
    let Some(proxy) = Set::start(&upstream, &clients, before_midnight) else { return };
    let ask = ask("app-a");
    let use_up = || {
        assert_eq!(asked(&mut proxy.connect(), &ask).status, 200);
        proxy.program.wait_until("it is charged", |_| proxy.left() == 0);
        let refused = asked(&mut proxy.connect(), &ask);
        assert_eq!(refused.json()["error"]["code"], "insufficient_quota", "{refused:?}");
    };
    use_up();
    proxy.set(before_midnight + 600);
    use_up();
    for offset in [before_midnight, before_midnight - DAY, before_midnight + 600] {
        proxy.set(offset);
        assert_eq!(asked(&mut proxy.connect(), &ask).status, 429, "{offset}");
    }
    proxy.set(before_midnight + 600 + DAY);
    use_up();
}

#[test]
fn the_library_that_sets_the_clock_is_looked_for_where_debian_has_it() {
    if installed("faketime").is_some() {
        assert!(library().as_deref().is_some_and(Path::is_file), "libfaketime is not in /usr/lib");
    }
}
