//! Arguments: parsing and types; what they lead to is `main`'s.

use std::io::Write;
use std::path::PathBuf;
#[cfg(feature = "demo")]
use std::time::Duration;

use clap::{Args, CommandFactory, Parser, Subcommand, ValueHint};
use clap_complete::Shell;

use crate::algo::calendar::Date;
#[cfg(feature = "demo")]
use crate::config::parse_duration;
use crate::config::{FIT_FOR_A_NAME, is_name};

/// Version and commit, as `--version` prints them.
pub const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), " (", env!("FIRSTBYTE_COMMIT"), ")");

/// The fewest of which a p99 can be taken; one after the other, direct and through, it takes
/// about ten seconds with the tokens and the gap below.
#[cfg(feature = "demo")]
const DEMO_REQUESTS: u32 = 100;
/// A sentence or two.
#[cfg(feature = "demo")]
const DEMO_TOKENS: u32 = 25;
/// A fast model's pace.
#[cfg(feature = "demo")]
const DEMO_GAP: &str = "2ms";
/// Longer gaps show nothing more.
#[cfg(feature = "demo")]
const LONGEST_GAP: Duration = Duration::from_secs(60);

// The first example is there where its command is.
#[cfg(feature = "demo")]
const DEMO_EXAMPLE: &str =
    "  firstbyte demo                             try it: needs no key and no network\n";
#[cfg(not(feature = "demo"))]
const DEMO_EXAMPLE: &str = "";

const EXAMPLES: &str = "  OPENAI_API_KEY=sk-… firstbyte              proxy to api.openai.com
  OPENAI_API_KEY=x OPENAI_BASE_URL=http://127.0.0.1:8000/v1 firstbyte
                                             proxy to a local server
  firstbyte check -c firstbyte.yaml          report every error in a file, with its line
  firstbyte check --connect -c firstbyte.yaml
                                             also try every upstream in it
  firstbyte -c firstbyte.yaml                run with this file
  firstbyte key new app-a                    make a key for a client
  curl -N http://127.0.0.1:8080/v1/chat/completions -H 'content-type: application/json' \\
    -d '{\"model\":\"gpt-4o-mini\",\"stream\":true,\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}'

Without a file it listens on 127.0.0.1:8080 (--listen), serves /livez, /readyz, /metrics and /stats
on 127.0.0.1:9090 (--admin), and forwards requests for /v1/… to the path of the base URL.

Environment:
  OPENAI_API_KEY      key to send to the upstream; required without a file
  OPENAI_BASE_URL     upstream when there is no file, written as for the SDKs
                      [default: https://api.openai.com/v1]
  OPENAI_ORG_ID       organization to send with the key, without a file
  OPENAI_PROJECT_ID   project to send with the key, without a file
  FIRSTBYTE_LISTEN    as --listen, without a file; several with commas between them
  FIRSTBYTE_ADMIN     as --admin, without a file
  SSL_CERT_FILE       trusted root certificates (PEM), instead of the platform's
  RUST_LOG            error, warn, info, debug or trace [default: info]
  NO_COLOR            if set, output has no colors

Output: the access log on stdout, one line per request (JSON); the program's log on stderr.
Signals: SIGHUP reloads the configuration, cuts no request, and reopens the access log; SIGUSR2
starts a new process and hands the listeners over to it; SIGTERM and SIGINT drain
(client.lame_duck, client.drain), a second one exits immediately.
Exit codes: 0 success, 1 failure (configuration error, a byte that differed), 2 wrong usage.";

/// What was asked for on the command line.
#[derive(Debug, Parser)]
#[command(name = "firstbyte", version = VERSION, about)]
#[command(after_help = format!("Examples:\n{DEMO_EXAMPLE}{EXAMPLES}"))]
#[command(args_conflicts_with_subcommands = true, max_term_width = 100)]
pub struct Cli {
    /// Configuration file; without one, environment variables configure the proxy
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub config: Option<PathBuf>,
    /// Address that clients connect to, without a file; may be repeated [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDRESS", conflicts_with = "config")]
    pub listen: Vec<String>,
    /// Address of the admin listener, or off, without a file [default: 127.0.0.1:9090]
    #[arg(long, value_name = "ADDRESS", conflicts_with = "config")]
    pub admin: Option<String>,
    /// What to do instead of running the proxy.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// What to do instead of running the proxy.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Check a configuration file: print every error in it, or a summary of what it does
    Check {
        /// Configuration file
        #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
        #[arg(required_unless_present = "connect")]
        config: Option<PathBuf>,
        /// Also connect to every upstream, send one GET /models, and print a table; without a file, to the
        /// upstream that the environment names
        #[arg(long)]
        connect: bool,
    },
    /// Stream from a mock upstream through the proxy, and show the latency that the proxy added
    #[cfg(feature = "demo")]
    Demo(Demo),
    /// Print what clients used, by client, model and day (UTC), as `store` has it
    #[command(
        after_help = "Example: firstbyte usage -c firstbyte.yaml --since 2026-11-01 --by client,model\n\n\
        It reads the folder where no proxy runs, and asks the one that runs otherwise."
    )]
    Usage(Usage),
    /// Make keys for clients, and print the hashes that the configuration has of them
    Key {
        /// What to do.
        #[command(subcommand)]
        command: KeyCommand,
    },
    /// Print shell completions; save them where your shell looks for them
    #[command(after_help = "Example: firstbyte completions bash > \
        ~/.local/share/bash-completion/completions/firstbyte")]
    Completions {
        /// Shell to print completions for
        shell: Shell,
    },
    /// Print the JSON Schema of the configuration file, for editors
    Schema {
        /// Print all keys as a Markdown table instead
        #[arg(long)]
        table: bool,
    },
}

/// What of usage is printed, and how.
#[derive(Debug, Clone, Args)]
pub struct Usage {
    /// Configuration file, whose `store` is read
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    #[arg(required_unless_present = "store")]
    pub config: Option<PathBuf>,
    /// The folder itself, without a configuration file
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath, conflicts_with = "config")]
    pub store: Option<PathBuf>,
    /// First day, such as 2026-11-01 [default: the first of the month]
    #[arg(long, value_name = "DAY", value_parser = day)]
    pub since: Option<Date>,
    /// Last day [default: today]
    #[arg(long, value_name = "DAY", value_parser = day)]
    pub until: Option<Date>,
    /// What rows are told apart by: some of client, model and day, with commas between them
    #[arg(long, value_name = "LIST", default_value = "client,model")]
    pub by: String,
    /// How it is printed
    #[arg(long, value_name = "FORMAT", default_value = "table")]
    #[arg(value_parser = ["table", "json", "csv"])]
    pub format: String,
}

/// What to do with keys.
#[derive(Debug, Subcommand)]
pub enum KeyCommand {
    /// Make a key for a client: the key goes to stdout, the lines for the configuration go to stderr
    #[command(after_help = "Examples:\n  \
        firstbyte key new app-a                    show the key once, and the lines with its hash\n  \
        (umask 077; firstbyte key new app-a > app-a.key)\n                                             \
        keep the key in a file, and show only the lines")]
    New {
        /// Name of the client, as in `clients`
        #[arg(value_parser = client_name)]
        name: String,
    },
    /// Read a key from stdin, without showing it, and print its SHA-256 for `key_sha256`
    #[command(after_help = "Examples:\n  \
        firstbyte key hash                         type or paste the key; it is not shown\n  \
        firstbyte key hash < app-a.key             of a key in a file")]
    Hash,
}

/// What the demo streams.
#[cfg(feature = "demo")]
#[derive(Debug, Clone, Args)]
pub struct Demo {
    /// Keep the mock upstream and the proxy running, and print a curl command to try
    #[arg(long)]
    pub keep: bool,
    /// Number of requests; each is sent once direct and once through the proxy
    #[arg(long, value_name = "N", default_value_t = DEMO_REQUESTS)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub requests: u32,
    /// Tokens in each response
    #[arg(long, value_name = "N", default_value_t = DEMO_TOKENS)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub tokens: u32,
    /// Time between two tokens, such as 20ms; 0ms sends all of them at once
    #[arg(long, value_name = "DURATION", default_value = DEMO_GAP, value_parser = gap)]
    pub gap: Duration,
}

/// The process's own arguments. On `--help` and `--version` prints and exits with 0, on wrong
/// usage says what is wrong on stderr and exits with 2.
pub fn parse() -> Cli {
    Cli::parse()
}

/// Writes a shell's completions. An error is the writer's, such as a closed pipe.
pub fn completions(shell: Shell, out: &mut dyn Write) -> std::io::Result<()> {
    // Generated into memory first: clap_complete panics where its writer fails.
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "firstbyte", &mut script);
    out.write_all(&script)
}

fn day(text: &str) -> Result<Date, String> {
    Date::parse(text).ok_or_else(|| "is not a day; write it like 2026-11-01".into())
}

fn client_name(text: &str) -> Result<String, String> {
    if is_name(text) { Ok(text.to_owned()) } else { Err(FIT_FOR_A_NAME.into()) }
}

#[cfg(feature = "demo")]
fn gap(text: &str) -> Result<Duration, String> {
    let gap = parse_duration(text)?;
    if gap > LONGEST_GAP { Err("is longer than 1m".into()) } else { Ok(gap) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(arguments: &[&str]) -> Result<Cli, clap::Error> {
        Cli::try_parse_from([&["firstbyte"], arguments].concat())
    }

    #[test]
    fn the_definition_holds_together() {
        Cli::command().debug_assert();
    }

    #[test]
    fn no_argument_at_all_runs_without_a_file() {
        let cli = parsed(&[]).unwrap();
        assert!(cli.config.is_none() && cli.command.is_none());
    }

    #[test]
    fn a_file_is_named_short_or_long() {
        for arguments in [["-c", "a.yaml"], ["--config", "a.yaml"]] {
            assert_eq!(parsed(&arguments).unwrap().config, Some(PathBuf::from("a.yaml")));
        }
    }

    #[test]
    fn addresses_are_named_where_there_is_no_file() {
        let cli = parsed(&["--listen", "a:1", "--listen", "[::]:1", "--admin", "off"]).unwrap();
        assert_eq!(
            (cli.listen, cli.admin),
            (vec!["a:1".into(), "[::]:1".into()], Some("off".into()))
        );
    }

    #[test]
    fn wrong_usage_exits_with_2() {
        let wrong: [&[&str]; 16] = [
            &["usage"],
            &["usage", "-c", "a.yaml", "--store", "a"],
            &["usage", "-c", "a.yaml", "--since", "2026-02-30"],
            &["usage", "-c", "a.yaml", "--format", "xml"],
            &["key"],
            &["key", "new"],
            &["key", "new", "app a"],
            &["key", "hash", "fb-a-key-in-the-history-of-a-shell"],
            &["-c", "a.yaml", "--listen", "127.0.0.1:1"],
            &["-c", "a.yaml", "--admin", "off"],
            &["--nonsense"],
            &["check"],
            &["-c"],
            &["-c", "a.yaml", "demo"],
            &["demo", "--requests", "0"],
            &["demo", "--gap", "2m"],
        ];
        for arguments in wrong {
            assert_eq!(parsed(arguments).unwrap_err().exit_code(), 2, "{arguments:?}");
        }
    }

    #[test]
    fn upstreams_can_be_tried_with_a_file_and_without() {
        let check = |arguments: &[&str]| match parsed(arguments).unwrap().command {
            Some(Command::Check { config, connect }) => (config, connect),
            other => panic!("{other:?}"),
        };
        let file = Some(PathBuf::from("a.yaml"));
        assert_eq!(check(&["check", "-c", "a.yaml"]), (file.clone(), false));
        assert_eq!(check(&["check", "-c", "a.yaml", "--connect"]), (file, true));
        assert_eq!(check(&["check", "--connect"]), (None, true));
    }

    #[cfg(feature = "demo")]
    #[test]
    fn the_demo_s_gap_is_a_duration_and_may_be_nothing() {
        let gap = |text| match parsed(&["demo", "--gap", text]).unwrap().command {
            Some(Command::Demo(demo)) => demo.gap,
            other => panic!("{other:?}"),
        };
        assert_eq!(gap("20ms"), Duration::from_millis(20));
        assert_eq!(gap("0ms"), Duration::ZERO);
        let refused = parsed(&["demo", "--gap", "20 msec"]).unwrap_err().to_string();
        assert!(refused.contains("write 20ms"), "{refused}");
    }

    #[test]
    fn help_names_every_variable_and_version_names_the_commit() {
        let help = Cli::command().render_long_help().to_string();
        let variables = [
            "OPENAI_API_KEY",
            "OPENAI_BASE_URL",
            "FIRSTBYTE_LISTEN",
            "FIRSTBYTE_ADMIN",
            "RUST_LOG",
            "NO_COLOR",
            "SSL_CERT_FILE",
        ];
        for variable in variables {
            assert!(help.contains(variable), "{variable}");
        }
        let version = parsed(&["--version"]).unwrap_err().to_string();
        assert!(version.starts_with(concat!("firstbyte ", env!("CARGO_PKG_VERSION"), " (")));
    }

    #[test]
    fn every_shell_gets_completions_that_know_the_commands() {
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
            let mut script = Vec::new();
            completions(shell, &mut script).unwrap();
            let script = String::from_utf8(script).unwrap();
            for word in ["check", "demo", "usage", "completions", "schema", "keep", "key", "hash"] {
                assert!(script.contains(word), "{shell}: {word}");
            }
        }
    }
}
