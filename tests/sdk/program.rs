//! Installs an SDK and runs its test program; what the program prints becomes values to assert on.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

/// Which of the two SDKs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sdk {
    Python,
    Node,
}

/// A group of cases, and where to run it.
#[derive(Debug)]
pub(super) struct Job(Vec<String>);

/// What one case of a program said.
#[derive(Debug)]
pub(super) struct Verdict {
    /// The number of its job, from 0.
    pub(super) job: usize,
    pub(super) case: String,
    pub(super) ok: bool,
    pub(super) detail: String,
    /// What the application saw, without what differs from one run to the next.
    pub(super) seen: Value,
}

/// `tests/sdk/install` ends with this when the package registry can't be reached.
const REGISTRY_OUT_OF_REACH: i32 = 75;

impl Sdk {
    pub(super) const BOTH: [Self; 2] = [Self::Python, Self::Node];

    /// Runs one group of cases against `base_url` (with its `/v1`); see [`Sdk::run_all`].
    pub(super) fn run(self, base_url: &str, group: &str, options: &[&str]) -> Option<Vec<Verdict>> {
        self.run_all(&[Job::new(base_url, group, options)])
    }

    /// As `run`, where every case has to pass.
    pub(super) fn passes(
        self,
        base_url: &str,
        group: &str,
        options: &[&str],
    ) -> Option<Vec<Verdict>> {
        let verdicts = self.run(base_url, group, options)?;
        let failed: Vec<String> = verdicts
            .iter()
            .filter(|verdict| !verdict.ok)
            .map(|verdict| format!("{}: {}", verdict.case, verdict.detail))
            .collect();
        assert!(failed.is_empty(), "{self:?} at {base_url}, {group}:\n{}", failed.join("\n"));
        Some(verdicts)
    }

    /// Runs the jobs one after another in one process.
    ///
    /// `None` when the SDK can't be fetched, which has then been said loudly. A case that fails is a verdict; everything
    /// else that goes wrong panics.
    pub(super) fn run_all(self, jobs: &[Job]) -> Option<Vec<Verdict>> {
        let interpreter = self.install()?;
        let arguments: Vec<&[String]> = jobs.iter().map(|job| job.0.as_slice()).collect();
        let output = Command::new(interpreter)
            .arg(self.program("sdk"))
            .args(arguments.join(&"--".to_owned()))
            .env("SDK_MODULE", root().join(".sdk/node/node_modules/openai"))
            // A proxy of the machine's own must not come between.
            .env("NO_PROXY", "*")
            .env_remove("OPENAI_BASE_URL")
            .output()
            .expect("the interpreter runs");
        let said = String::from_utf8_lossy(&output.stdout);
        let verdicts: Vec<Verdict> = said.lines().map(Verdict::parse).collect();
        let stderr = String::from_utf8_lossy(&output.stderr);
        for (number, job) in jobs.iter().enumerate() {
            let answered = verdicts.iter().any(|verdict| verdict.job == number);
            assert!(answered, "{self:?}: nothing ran for {job:?}\n{said}{stderr}");
        }
        let all_ok = verdicts.iter().all(|verdict| verdict.ok);
        assert_eq!(output.status.success(), all_ok, "{self:?}: {said}{stderr}");
        Some(verdicts)
    }

    fn name(self) -> &'static str {
        match self {
            Self::Python => "python",
            Self::Node => "node",
        }
    }

    /// A program in this language, by its name.
    pub(super) fn program(self, name: &str) -> PathBuf {
        let (folder, extension) = match self {
            Self::Python => ("python", "py"),
            Self::Node => ("node", "mjs"),
        };
        root().join(format!("tests/sdk/{folder}/{name}.{extension}"))
    }

    /// The interpreter, and the SDK beside it. `None` as in [`Sdk::run_all`].
    pub(super) fn install(self) -> Option<PathBuf> {
        let output = Command::new(root().join("tests/sdk/install"))
            .arg(self.name())
            .stdin(Stdio::null())
            .output()
            .expect("tests/sdk/install runs");
        let told = String::from_utf8_lossy(&output.stderr);
        if output.status.code() == Some(REGISTRY_OUT_OF_REACH) {
            // Written past the test harness, which keeps the output of a test that passes to itself.
            loudly(&told);
            return None;
        }
        assert!(output.status.success(), "tests/sdk/install {}: {told}", self.name());
        Some(PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()))
    }
}

impl Job {
    pub(super) fn new(base_url: &str, group: &str, options: &[&str]) -> Self {
        Self([base_url, group].iter().chain(options).map(|&text| text.to_owned()).collect())
    }
}

impl Verdict {
    fn parse(line: &str) -> Self {
        let value: Value =
            serde_json::from_str(line).unwrap_or_else(|_| panic!("no verdict: {line}"));
        Self {
            job: value["job"].as_u64().expect("a number") as usize,
            case: value["case"].as_str().expect("a name").to_owned(),
            ok: value["ok"].as_bool().expect("a judgement"),
            detail: value["detail"].as_str().unwrap_or_default().to_owned(),
            seen: value["seen"].clone(),
        }
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn loudly(text: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stderr(), "\n{text}");
}
