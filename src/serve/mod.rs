//! The program as it serves: from its first listener, through the signals that change it, to its end.

mod notify;
mod upgrade;
mod watch;

use std::error::Error;
use std::io;
use std::process::ExitCode;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;

use crate::config::ListenAddress;
use crate::handover::{Inherited, Invocation};
use crate::kernel;
use crate::runtime::memory::give_back;
use crate::runtime::{self, Origin, Reloader, Running};
use upgrade::Upgrade;

/// How long the end waits for a successor that is to be ended with it.
const CALLED_OFF: Duration = Duration::from_secs(1);

/// Runs until SIGTERM or SIGINT, or until another process has taken over; then drains, after SIGTERM and
/// SIGINT as a lame duck first where the configuration says so. A further signal means now. SIGHUP reloads, SIGUSR2 starts the process that takes over.
///
/// # Errors
/// The proxy cannot start.
pub fn run(origin: Origin) -> Result<ExitCode, Box<dyn Error>> {
    let signals = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    // Here, where there is no other thread yet.
    kernel::prepare(origin.config().limits.connections);
    let ended = signals.block_on(serve(origin));
    // A successor that is on its way is called off in this time; nothing else is waited for.
    signals.shutdown_timeout(CALLED_OFF);
    ended
}

/// All that may block happens on other threads: nothing holds up a signal.
async fn serve(origin: Origin) -> Result<ExitCode, Box<dyn Error>> {
    // First of all: before somebody listens for it, a signal ends the process.
    let mut ends = Ends::listen()?;
    let (reloads, upgrades) = (signal(SignalKind::hangup())?, signal(SignalKind::user_defined2())?);
    let called = Invocation::ours();
    let mut given = Inherited::take()?;
    let predecessor = given.predecessor();
    let explain = matches!(origin, Origin::Fixed(_));
    let starting = apart("start", move || runtime::start_from(origin, given))?;
    let proxy = tokio::select! {
        started = starting => started??,
        () = ends.next() => {
            tracing::info!("stopped during startup");
            return Ok(ExitCode::SUCCESS);
        }
    };
    announce(&proxy, explain);
    if let Some(predecessor) = predecessor {
        tokio::select! {
            taken = upgrade::take_over(&proxy, predecessor) => taken?,
            () = ends.next() => return end(proxy, &mut ends, Cause::CalledOff).await,
        }
    }
    notify::tell(notify::READY);
    tokio::spawn(give_back::empty_pages());
    tokio::spawn(give_back::freed_pages());
    let watching = watch::watch(proxy.reloader())?;
    let reloading = tokio::spawn(reload_at(reloads, Arc::clone(proxy.reloader())));
    let (proxy, cause) = until_the_end(proxy, &mut ends, Upgrade::new(upgrades, called)).await;
    drop(watching);
    reloading.abort();
    end(proxy, &mut ends, cause).await
}

/// Work on a thread that nobody waits for at the end, unlike one of the runtime's own. The receiver fails where
/// the work panicked.
fn apart<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> io::Result<oneshot::Receiver<T>> {
    let (done, doing) = oneshot::channel();
    thread::Builder::new().name(name.to_owned()).spawn(move || {
        let _nobody_waits = done.send(work());
    })?;
    Ok(doing)
}

/// Until it is to drain.
async fn until_the_end(
    mut proxy: Running,
    ends: &mut Ends,
    mut upgrade: Upgrade,
) -> (Running, Cause) {
    let cause = tokio::select! {
        () = ends.next() => {
            notify::tell(notify::STOPPING);
            Cause::Told
        }
        successor = upgrade.done(&proxy) => {
            tracing::info!(process = successor.id, "the new process has taken over the listeners");
            notify::tell(&notify::main_process(successor.id));
            proxy.leave_admin();
            Cause::TakenOver
        }
    };
    (proxy, cause)
}

fn announce(proxy: &Running, explain: bool) {
    let config = proxy.reloader().config();
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    for (place, listener) in proxy.places().iter().zip(&config.listen) {
        let scheme = if listener.tls.is_some() { "https" } else { "http" };
        match place {
            ListenAddress::Ip(address) => tracing::info!("listening on {scheme}://{address}"),
            ListenAddress::Unix(_) => tracing::info!("listening on {place} ({scheme})"),
        }
    }
    if let Some(admin) = proxy.admin() {
        tracing::info!("admin on http://{admin} (/livez /readyz /metrics /stats, POST /reload)");
    }
    if explain && let Some(address) = proxy.addresses().first() {
        tracing::info!(
            "to send requests from an SDK, set OPENAI_BASE_URL=http://{address}/v1 (any API key)"
        );
    }
}

/// One reload after the other: signals that come meanwhile lead to one more.
async fn reload_at(mut signal: Signal, reloader: Arc<Reloader>) {
    while signal.recv().await.is_some() {
        let reloader = Arc::clone(&reloader);
        match apart("reload", move || reloader.hang_up()) {
            // It says itself what became of it.
            Ok(reloading) => drop(reloading.await),
            Err(error) => {
                tracing::error!(%error, "cannot start a reload, the old configuration stays");
            }
        }
    }
}

/// Why it drains.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cause {
    Told,
    /// The same, before it accepted anything.
    CalledOff,
    TakenOver,
}

/// Drains, and cuts what is left at the deadline or at the second signal: a service manager that ends the
/// process after this one tells both.
async fn end(proxy: Running, ends: &mut Ends, cause: Cause) -> Result<ExitCode, Box<dyn Error>> {
    if cause == Cause::Told && serve_on(&proxy, ends).await == Served::CutShort {
        proxy.stop();
    } else {
        tracing::info!("draining; a second signal exits immediately");
        proxy.drain();
    }
    let stopper = proxy.stopper();
    let drained = tokio::task::spawn_blocking(move || proxy.join());
    tokio::pin!(drained);
    let cut = tokio::select! {
        cut = &mut drained => cut?,
        () = ends.second(cause) => {
            stopper.stop();
            drained.await?
        }
    };
    tracing::info!(cut, "drained");
    Ok(ExitCode::SUCCESS)
}

/// How a lame duck's time ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Served {
    /// It is over, or was none.
    Out,
    /// By a second signal.
    CutShort,
}

/// Still accepts, for as long as the configuration says.
async fn serve_on(proxy: &Running, ends: &mut Ends) -> Served {
    let in_a_pod = std::env::var_os("KUBERNETES_SERVICE_HOST").is_some();
    let time = proxy.reloader().config().client.lame_duck(in_a_pod);
    if time.is_zero() {
        return Served::Out;
    }
    let seconds = time.as_secs_f64();
    tracing::info!(
        "leaving: /readyz is 503 from now on; accepts for another {seconds} s (lame_duck), then \
         drains; a second signal exits immediately"
    );
    proxy.lame_duck();
    tokio::select! {
        () = tokio::time::sleep(time) => Served::Out,
        () = ends.next() => Served::CutShort,
    }
}

/// The signals that end the process.
struct Ends {
    terminate: Signal,
    interrupt: Signal,
}

impl Ends {
    fn listen() -> std::io::Result<Self> {
        let terminate = signal(SignalKind::terminate())?;
        Ok(Self { terminate, interrupt: signal(SignalKind::interrupt())? })
    }

    /// After the first, if that was not what led here.
    async fn second(&mut self, cause: Cause) {
        if cause == Cause::TakenOver {
            self.next().await;
            tracing::info!("already draining; another signal exits immediately");
        }
        self.next().await;
    }

    async fn next(&mut self) {
        tokio::select! { _ = self.terminate.recv() => {} _ = self.interrupt.recv() => {} }
    }
}
