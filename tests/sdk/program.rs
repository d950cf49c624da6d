//! Installs an SDK and runs its test program; what the program prints becomes values to assert on.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

/// Which of OpenAI's SDKs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sdk {
    Python,
    Node,
}

/// What one case of a program said.
#[derive(Debug)]
pub struct Verdict {
    pub case: String,
    pub ok: bool,
    pub detail: String,
    /// What the application saw, without what differs from one run to the next.
    pub seen: Value,
}

/// `tests/sdk/install` ends with this when the package registry can't be reached.
const REGISTRY_OUT_OF_REACH: i32 = 75;

impl Sdk {
    pub const BOTH: [Self; 2] = [Self::Python, Self::Node];

    /// Runs a group of cases against `base_url` (with its `/v1`); the proxy must not see a proxy of the machine's.
    ///
    /// `None` when the SDK can't be fetched, which has then been said loudly. Everything else that goes wrong panics.
    pub fn run(self, base_url: &str, group: &str, options: &[&str]) -> Option<Vec<Verdict>> {
        let interpreter = self.install()?;
        let output = Command::new(interpreter)
            .arg(self.program())
            .args([base_url, group])
            .args(options)
            .env("SDK_MODULE", root().join(".sdk/node/node_modules/openai"))
            .env("NO_PROXY", "*")
            .env_remove("OPENAI_BASE_URL")
            .output()
            .expect("the interpreter runs");
        let said = String::from_utf8_lossy(&output.stdout);
        let verdicts: Vec<Verdict> = said.lines().map(Verdict::parse).collect();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(!verdicts.is_empty(), "{self:?} {group}: no case ran\n{said}{stderr}");
        let all_ok = verdicts.iter().all(|verdict| verdict.ok);
        assert_eq!(output.status.success(), all_ok, "{self:?} {group}: {said}{stderr}");
        Some(verdicts)
    }

    /// As `run`, where every case has to pass.
    pub fn passes(self, base_url: &str, group: &str, options: &[&str]) -> Option<Vec<Verdict>> {
        let verdicts = self.run(base_url, group, options)?;
        let failed: Vec<String> = verdicts
            .iter()
            .filter(|verdict| !verdict.ok)
            .map(|verdict| format!("{}: {}", verdict.case, verdict.detail))
            .collect();
        assert!(failed.is_empty(), "{self:?} at {base_url}, {group}:\n{}", failed.join("\n"));
        Some(verdicts)
    }

    fn name(self) -> &'static str {
        match self {
            Self::Python => "python",
            Self::Node => "node",
        }
    }

    fn program(self) -> PathBuf {
        let file = match self {
            Self::Python => "tests/sdk/python/sdk.py",
            Self::Node => "tests/sdk/node/sdk.mjs",
        };
        root().join(file)
    }

    fn install(self) -> Option<PathBuf> {
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

impl Verdict {
    fn parse(line: &str) -> Self {
        let value: Value =
            serde_json::from_str(line).unwrap_or_else(|_| panic!("no verdict: {line}"));
        Self {
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
