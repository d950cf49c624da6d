//! `loadtest run`: one target.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::load::Plan;
use crate::load::schedule::{Schedule, Stage};
use crate::load::worker::Pass;
use crate::{duration, format};

use super::Exit;
use super::args::{ConnectArgs, LoadArgs, RequestArgs, ShowArgs, VerdictArgs};
use super::session::{Session, check_conditions};
use super::target_plan::{Common, Named, common_settings};
use super::trouble::Trouble;

/// How long a run takes unless said otherwise.
const DURATION: Duration = Duration::from_secs(10);
/// Warm-up of a run by time, unless said otherwise.
const WARM_UP: Duration = Duration::from_secs(1);

/// Send requests to one target and measure it.
///
/// URL is an endpoint, an API base (…/v1) or an origin.
#[derive(Debug, clap::Args)]
#[command(
    args_override_self = true,
    after_help = "Examples:
  loadtest run http://127.0.0.1:8080 -c 16 -z 10s
  loadtest run http://127.0.0.1:8080/v1 -q 200 --arrivals poisson -z 30s --html report.html
  loadtest run https://localhost:9443 --cacert ca.pem --stages 10s@10..200,30s@200 --verify
  loadtest run https://api.openai.com/v1 --api-key-env --model gpt-4.1-nano -q 1 -n 20
  loadtest run http://127.0.0.1:8080 -q 100 -z 10s --fail-if 'ttfb_p99>5ms' --fail-if 'errors>0'"
)]
pub struct RunArgs {
    /// URL to send requests to
    url: String,
    /// Number of requests
    #[arg(short = 'n', long, value_name = "N")]
    requests: Option<u64>,
    /// How long to send requests, not counting the warm-up; requests in flight at the end are
    /// completed [default: 10s unless -n or --stages]
    #[arg(short = 'z', long, value_name = "TIME", value_parser = duration::parse)]
    duration: Option<Duration>,
    /// Open loop with a changing rate: TIME@RATE or TIME@FROM..TO, e.g. 10s@10..200,30s@200
    #[arg(long, value_name = "LIST", value_delimiter = ',', conflicts_with_all = ["rate", "duration"])]
    stages: Vec<Stage>,
    /// Warm-up: requests due in the first TIME are sent but not counted [default: 1s, 0 with -n]
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    warm_up: Option<Duration>,
    /// Id of a local process that serves the target; the report shows its CPU and memory; may be
    /// repeated
    #[arg(long, value_name = "PID")]
    pid: Vec<u32>,
    #[command(flatten)]
    load: LoadArgs,
    #[command(flatten)]
    request: RequestArgs,
    #[command(flatten)]
    connect: ConnectArgs,
    #[command(flatten)]
    verdict: VerdictArgs,
    #[command(flatten)]
    show: ShowArgs,
}

/// Does `loadtest run`.
pub(super) fn run(args: &RunArgs) -> Result<Exit, Trouble> {
    let common = Common {
        request: &args.request,
        connect: &args.connect,
        load: &args.load,
        verdict: &args.verdict,
        show: &args.show,
    };
    let named = Named { name: "target".into(), url: args.url.clone(), processes: args.pid.clone() };
    let targets = vec![named];
    check_conditions(&args.verdict.fail_if, &targets)?;
    let stages = args.stages();
    let open_loop = !stages.is_empty();
    let plan = Plan {
        schedule: if open_loop {
            Schedule::open(stages.clone(), args.load.arrivals, args.requests, args.load.seed)
        } else {
            Schedule::closed(args.requests)
        },
        slots: common.slots(open_loop),
        until: args.until(),
        warm_up: args.warm_up(),
        think: args.load.think,
        options: common.options(),
        slow: args.load.slow,
    };
    let expected = args.expected();
    let asked_rate = match stages[..] {
        [only] if only.from.to_bits() == only.to.to_bits() => Some(only.to),
        _ => None,
    };
    let settings = args.settings(&plan, &stages);
    let passes = vec![Pass { target: 0, slice: 0, plan }];
    let session = Session { common, targets, passes, open_loop, asked_rate, expected, settings };
    session.execute(|_| None)
}

impl RunArgs {
    fn warm_up(&self) -> Duration {
        let usual = if self.requests.is_some() { Duration::ZERO } else { WARM_UP };
        self.warm_up.unwrap_or(usual)
    }

    /// How long requests are sent, warm-up included; `None` where their number ends the run.
    fn until(&self) -> Option<Duration> {
        let bounded = self.requests.is_some() || !self.stages.is_empty();
        let duration = self.duration.or((!bounded).then_some(DURATION));
        duration.map(|duration| duration + self.warm_up())
    }

    /// How long the run should take, drain not included, where that can be told.
    fn expected(&self) -> Option<Duration> {
        let counted = self.requests.zip(self.load.rate);
        let by_count =
            counted.and_then(|(count, rate)| Duration::try_from_secs_f64(count as f64 / rate).ok());
        let staged: Duration = self.stages.iter().map(|stage| stage.span).sum();
        let by_time = self.until().or((!staged.is_zero()).then_some(staged));
        match (by_count, by_time) {
            (Some(count), Some(time)) => Some(count.min(time)),
            (count, time) => count.or(time),
        }
    }

    /// The open loop's stages; none for a closed loop.
    fn stages(&self) -> Vec<Stage> {
        let Some(rate) = self.load.rate else { return self.stages.clone() };
        let span = self.until().unwrap_or_else(|| {
            // Half a request more, so that rounding does not lose the last.
            let count = self.requests.unwrap_or(0) as f64 + 0.5;
            Duration::try_from_secs_f64(count / rate).unwrap_or(DURATION)
        });
        // A Poisson process may need longer for its number of requests: the number ends it.
        let span = if self.until().is_none() { span * 4 } else { span };
        vec![Stage::constant(span, rate)]
    }

    fn settings(&self, plan: &Plan, stages: &[Stage]) -> BTreeMap<String, String> {
        let mode = match (stages, self.load.rate) {
            ([], _) => format!("closed loop, {} in flight", plan.slots),
            (_, Some(rate)) => format!("open loop, {rate} requests/s, {:?}", self.load.arrivals),
            (stages, None) => {
                format!("open loop, {} stages, {:?}", stages.len(), self.load.arrivals)
            }
        };
        let mut settings = common_settings(&self.load, &self.connect);
        settings.insert("mode".into(), mode.to_lowercase());
        settings.insert("warm_up".into(), format::span(plan.warm_up));
        if let Some(until) = plan.until {
            settings.insert("duration".into(), format::span(until.saturating_sub(plan.warm_up)));
        }
        if let Some(requests) = self.requests {
            settings.insert("requests".into(), requests.to_string());
        }
        settings
    }
}
