//! `loadtest compare`: two or more targets in rotation.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::time::Duration;

use crate::compare::{Comparison, Resampling, Rotation, compare as compare_samples, rotate};
use crate::load::Plan;
use crate::load::schedule::Schedule;
use crate::measure::Totals;
use crate::{duration, format};

use super::Exit;
use super::args::{ConnectArgs, LoadArgs, RequestArgs, ShowArgs, VerdictArgs};
use super::session::{Session, check_conditions};
use super::target_plan::{Common, Named, common_settings};
use super::trouble::Trouble;

/// Compare two or more targets in rotation within one run; show what each one adds to the first.
///
/// The targets take turns in slices of a few seconds. Each round has a new random order, and all
/// targets of a round get the same arrivals. Slow changes of the machine therefore affect all
/// targets equally.
#[derive(Debug, clap::Args)]
#[command(
    args_override_self = true,
    after_help = "Examples:
  loadtest compare direct=http://127.0.0.1:9000 proxy=http://127.0.0.1:8080 -q 200
  loadtest compare direct=https://localhost:9443 ours=http://127.0.0.1:8080 nginx=http://127.0.0.1:8081 \\
    --cacert ca.pem -q 200 --slice 3s --rounds 10 --html compare.html \\
    --pid ours=1234 --fail-if 'ours:added_ttfb_p99>1ms'"
)]
pub struct CompareArgs {
    /// Targets to compare; the first one is the baseline
    #[arg(required = true, num_args = 2.., value_name = "NAME=URL")]
    targets: Vec<NamedUrl>,
    /// Duration of one slice
    #[arg(long, value_name = "TIME", default_value = "3s", value_parser = duration::parse)]
    slice: Duration,
    /// Number of rounds; each target gets one slice per round
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u16).range(2..))]
    rounds: u16,
    /// Warm-up of each target before the first round; not counted
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = duration::parse)]
    warm_up: Duration,
    /// Beginning of each slice that is not counted
    #[arg(long, value_name = "TIME", default_value = "200ms", value_parser = duration::parse)]
    settle: Duration,
    /// Number of bootstrap resamples
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(100..))]
    resamples: u32,
    /// Confidence level of the intervals, between 0 and 1
    #[arg(long, value_name = "SHARE", default_value_t = 0.95)]
    confidence: f64,
    /// Id of a local process that serves a target; the report shows its CPU and memory; may be
    /// repeated
    #[arg(long, value_name = "NAME=PID")]
    pid: Vec<NamedPid>,
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

#[derive(Clone, Debug)]
struct NamedUrl {
    name: String,
    url: String,
}

impl FromStr for NamedUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            Some((name, url)) if !name.is_empty() && !name.contains(['/', ':', ',']) => {
                Ok(Self { name: name.into(), url: url.into() })
            }
            _ => Err("write a target like direct=http://127.0.0.1:9000".into()),
        }
    }
}

#[derive(Clone, Debug)]
struct NamedPid {
    name: String,
    pid: u32,
}

impl FromStr for NamedPid {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || "write a process like proxy=1234".to_owned();
        let (name, pid) = text.split_once('=').ok_or_else(wrong)?;
        Ok(Self { name: name.into(), pid: pid.parse().map_err(|_| wrong())? })
    }
}

/// Does `loadtest compare`.
pub(super) fn compare(args: &CompareArgs) -> Result<Exit, Trouble> {
    let common = Common {
        request: &args.request,
        connect: &args.connect,
        load: &args.load,
        verdict: &args.verdict,
        show: &args.show,
    };
    if !(args.confidence > 0.0 && args.confidence < 1.0) {
        return Err(Trouble::usage("--confidence", &"write a share between 0 and 1"));
    }
    let targets = args.named()?;
    check_conditions(&args.verdict.fail_if, &targets)?;
    let open_loop = args.load.rate.is_some();
    let plan = Plan {
        schedule: Schedule::closed(None),
        slots: common.slots(open_loop),
        until: None,
        warm_up: Duration::ZERO,
        think: args.load.think,
        options: common.options(),
        slow: args.load.slow,
    };
    let rotation = Rotation {
        targets: targets.len(),
        rounds: usize::from(args.rounds),
        slice: args.slice,
        warm_up: args.warm_up,
        settle: args.settle,
        rate: args.load.rate,
        arrivals: args.load.arrivals,
        seed: args.load.seed,
    };
    let passes = rotate(&rotation, &plan);
    let expected = passes.iter().filter_map(|pass| pass.plan.until).sum();
    let names: Vec<String> = targets.iter().map(|named| named.name.clone()).collect();
    let session = Session {
        settings: args.settings(&plan),
        asked_rate: args.load.rate,
        expected: Some(expected),
        common,
        targets,
        passes,
        open_loop,
    };
    session.execute(|totals| Some(args.comparison(&names, totals)))
}

impl CompareArgs {
    fn named(&self) -> Result<Vec<Named>, Trouble> {
        let mut targets: Vec<Named> = Vec::new();
        for NamedUrl { name, url } in &self.targets {
            if targets.iter().any(|target| target.name == *name) {
                return Err(Trouble::usage(name, &"two targets have this name"));
            }
            targets.push(Named { name: name.clone(), url: url.clone(), processes: Vec::new() });
        }
        for NamedPid { name, pid } in &self.pid {
            let target = targets.iter_mut().find(|target| target.name == *name);
            let missing = || Trouble::usage("--pid", &format!("no target is named {name:?}"));
            target.ok_or_else(missing)?.processes.push(*pid);
        }
        Ok(targets)
    }

    fn comparison(&self, names: &[String], totals: &Totals) -> Comparison {
        let samples: Vec<_> =
            totals.accounts.iter().map(|account| account.samples.clone().finish()).collect();
        let resampling = Resampling {
            resamples: self.resamples as usize,
            confidence: self.confidence,
            seed: self.load.seed,
        };
        compare_samples(names, &samples, self.slice.as_secs_f64(), &resampling)
    }

    fn settings(&self, plan: &Plan) -> BTreeMap<String, String> {
        let mut settings = common_settings(&self.load, &self.connect);
        let mode = match self.load.rate {
            Some(rate) => format!("open loop, {rate} requests/s, {:?}", self.load.arrivals),
            None => format!("closed loop, {} in flight", plan.slots),
        };
        settings.insert("mode".into(), mode.to_lowercase());
        settings.insert("slice".into(), format::span(self.slice));
        settings.insert("rounds".into(), self.rounds.to_string());
        settings.insert("settle".into(), format::span(self.settle));
        settings.insert("warm_up".into(), format::span(self.warm_up));
        settings
    }
}
