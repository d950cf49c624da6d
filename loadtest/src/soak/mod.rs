//! The soak: a proxy under random traffic and random faults for as long as asked, and a verdict.

/// What one request does, and what must come of it.
mod exchange_plan;
/// The proxy under test, as a child process.
mod proxy;
/// The verdict in Markdown and JSON.
mod report;
/// What a process holds over time.
mod samples;
/// The clients.
mod traffic;

use std::cell::RefCell;
use std::io;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::{Duration, Instant};

use crate::client::{Mono, Pool, Protocol, Request, SendOptions, Target, Trace};
use crate::random::Random;
use crate::upstream::{Cut, Upstream};

use proxy::{Proxy, ProxyAddresses};
pub use report::Verdict;
use samples::Sample;
use traffic::{Phase, Tally, Ways, slot};

/// How long the proxy may take to listen, and its in-flight count to fall to 0.
const PROXY_TIMEOUT: Duration = Duration::from_secs(20);
/// How long it may take to end: longer than a drain that has to wait for a client.
const END: Duration = Duration::from_secs(45);
/// Length of a storm, in which upstream connections are ended, and of the calm after it, in which nothing that was left
/// alone may fail. Seconds.
const STORM: u64 = 10;
const CALM: u64 = 5;
/// A freeze of an upstream: well under every deadline of the proxy, so that nothing may fail of it.
const FREEZE: Duration = Duration::from_millis(300);
/// Seconds between two looks at the proxy.
const LOOK: u64 = 1;
/// Seconds between two lines of progress.
const TOLD: u64 = 10;

/// What to do.
#[derive(Clone, Debug)]
pub struct Spec {
    /// The proxy's command line.
    pub command: Vec<String>,
    /// For how long.
    pub length: Duration,
    /// Of everything random.
    pub seed: u64,
    /// Requests at a time.
    pub slots: usize,
    /// SIGHUP this often; never if `None`.
    pub reload: Option<Duration>,
    /// The series of `/metrics` that counts requests in flight.
    pub in_flight: String,
    /// Where the report goes.
    pub out: PathBuf,
}

/// Does the soak and writes its report. Fails if it cannot be done; what the proxy did wrong is in the verdict.
pub fn run(spec: &Spec) -> io::Result<Verdict> {
    std::fs::create_dir_all(&spec.out)?;
    let upstreams = [
        Upstream::builder().tls().http2().log(false).start()?,
        Upstream::builder().clear().http1().log(false).start()?,
    ];
    let (addresses, ca) = (ProxyAddresses::free()?, spec.out.join("ca.pem"));
    upstreams[0].write_ca(&ca)?;
    let variables = [
        ("SOAK_LISTEN", addresses.listen.to_string()),
        ("SOAK_ADMIN", addresses.admin.to_string()),
        ("SOAK_HTTP2", upstreams[0].base_url()),
        ("SOAK_HTTP1", upstreams[1].base_url()),
        ("SOAK_CA", std::path::absolute(&ca)?.display().to_string()),
    ];
    let mut proxy = Proxy::start(&spec.command, &variables, &spec.out.join("proxy.log"))?;
    let tally = Rc::<RefCell<Tally>>::default();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(proxy.wait_listening(addresses.listen, PROXY_TIMEOUT))?;
    let local = tokio::task::LocalSet::new();
    let course = Soak { spec, upstreams: &upstreams, proxy: &proxy, tally: tally.clone() };
    let samples = local.block_on(&runtime, course.run(&addresses))?;
    let in_flight = local.block_on(&runtime, left_in_flight(&addresses, &spec.in_flight));
    // The clients' connections go with their tasks: the drain waits for nobody.
    drop(local);
    let status = runtime.block_on(proxy.end(END))?;
    let verdict = Verdict::of(spec, &tally.borrow(), samples, in_flight, status, proxy.panics());
    verdict.write(&spec.out)?;
    Ok(verdict)
}

/// The part of a soak in which requests are sent.
struct Soak<'a> {
    spec: &'a Spec,
    upstreams: &'a [Upstream; 2],
    proxy: &'a Proxy,
    tally: Rc<RefCell<Tally>>,
}

impl Soak<'_> {
    async fn run(&self, addresses: &ProxyAddresses) -> io::Result<Vec<Sample>> {
        let phase = Rc::<RefCell<Phase>>::default();
        let ways = Rc::new(ways(addresses)?);
        let slots: Vec<_> = (0..self.spec.slots as u64)
            .map(|nth| {
                let random = Random::new(self.spec.seed ^ (nth + 1).wrapping_mul(0x9e37_79b9));
                let tally = self.tally.clone();
                tokio::task::spawn_local(slot(ways.clone(), tally, random, phase.clone()))
            })
            .collect();
        let samples = self.watch(&phase).await?;
        phase.borrow_mut().stop = true;
        for slot in slots {
            // A panic of a slot is a fault of this program, not of the proxy.
            slot.await.map_err(io::Error::other)?;
        }
        Ok(samples)
    }

    /// Looks at the proxy every second, and disturbs the upstreams, until time is up or the proxy is gone.
    async fn watch(&self, phase: &RefCell<Phase>) -> io::Result<Vec<Sample>> {
        let (begun, mut random) = (Instant::now(), Random::new(self.spec.seed));
        let (mut samples, mut reloaded) = (Vec::new(), begun);
        let mut second = 0;
        while begun.elapsed() < self.spec.length {
            tokio::time::sleep(Duration::from_secs(LOOK)).await;
            second += LOOK;
            let storm = second % (STORM + CALM) < STORM;
            phase.borrow_mut().storm = storm;
            let requests = self.tally.borrow().requests;
            let seconds = begun.elapsed().as_secs_f64();
            let Some(sample) = Sample::take(self.proxy.id(), seconds, requests) else {
                self.tally.borrow_mut().blame("the proxy exited during the soak".into());
                break;
            };
            samples.push(sample);
            if second % TOLD == 0 {
                self.tell(&sample);
            }
            if self.spec.reload.is_some_and(|every| reloaded.elapsed() >= every) {
                reloaded = Instant::now();
                self.proxy.reload()?;
            }
            self.disturb(&mut random, storm).await;
        }
        Ok(samples)
    }

    /// Now and then does to a whole upstream what no request asks for.
    async fn disturb(&self, random: &mut Random, storm: bool) {
        let at = random.below(2);
        let upstream = &self.upstreams[at];
        match random.below(10) {
            0 => {
                upstream.freeze();
                tokio::time::sleep(FREEZE).await;
                upstream.thaw();
            }
            1 if storm => {
                self.tally.borrow_mut().disturb(at);
                upstream.retire_all();
            }
            2 if storm => {
                self.tally.borrow_mut().disturb(at);
                upstream.cut_all(if random.below(2) == 0 { Cut::Rst } else { Cut::Fin });
            }
            _ => {}
        }
    }

    fn tell(&self, sample: &Sample) {
        use crate::format::{bytes, count};
        let tally = self.tally.borrow();
        eprintln!(
            "{:.0} of {:.0} s: {} requests, {} complete, {} with an injected fault, {} clients \
             disconnected, {} excused, {} WRONG; memory {}, {} descriptors",
            sample.seconds,
            self.spec.length.as_secs_f64(),
            count(tally.requests),
            count(tally.whole),
            count(tally.broken),
            count(tally.left),
            count(tally.excused),
            tally.wrong,
            bytes(sample.memory),
            sample.descriptors
        );
    }
}

fn ways(addresses: &ProxyAddresses) -> io::Result<Ways> {
    let target = Target::new(&format!("http://{}", addresses.listen)).map_err(io::Error::other)?;
    let both = |protocol| {
        let target = target.clone().speaking(protocol);
        [Pool::warm(target.clone()), Pool::cold(target)]
    };
    Ok(Ways { http1: both(Protocol::Http1), http2: both(Protocol::Http2) })
}

/// Requests in flight according to the proxy, once all have ended: waits for 0, and says what it saw last. `None` if it
/// does not tell.
async fn left_in_flight(addresses: &ProxyAddresses, series: &str) -> Option<f64> {
    let target = Target::new(&format!("http://{}", addresses.admin)).ok()?;
    let (begun, request) = (Instant::now(), Request::get("/metrics").ok()?);
    loop {
        let mut page = Trace::default();
        let options = SendOptions::default();
        Pool::cold(target.clone()).send(&request, Mono::now(), &options, &mut page).await;
        let page = String::from_utf8_lossy(&page.body).into_owned();
        let named = |line: &str| line.strip_prefix(series)?.strip_prefix(' ')?.parse::<f64>().ok();
        let value = page.lines().find_map(named);
        if value.is_none_or(|value| value <= 0.0) || begun.elapsed() > PROXY_TIMEOUT {
            return value;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
