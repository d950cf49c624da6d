//! `firstbyte key`: keys for clients, and the digests of keys that there are.

use std::error::Error;
use std::fmt::Write as _;
use std::io::{self, BufRead, IsTerminal, Read, Write};
use std::process::ExitCode;

use aws_lc_rs::rand;
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use secrecy::{ExposeSecret, SecretString};

use crate::cli::KeyCommand;
use crate::config::KeyDigest;

/// By which people and scanners for secrets know whose key it is.
const PREFIX: &str = "fb-";

/// No sign among them: a double click selects all of a key, and a shell quotes none.
const LETTERS: &[u8] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Of [`LETTERS`] these many are 256 bits.
const LENGTH: usize = 43;

/// More than any key has that a header can carry.
const MOST_BYTES: u64 = 64 * 1024;

/// Does what was asked for.
///
/// # Errors
/// There is no randomness, no key to read, or nobody to write to.
pub fn run(command: &KeyCommand) -> Result<ExitCode, Box<dyn Error>> {
    match command {
        KeyCommand::New { name } => new(name, &mut io::stdout(), &mut io::stderr())?,
        KeyCommand::Hash => {
            let stdin = io::stdin();
            let text = if stdin.is_terminal() { typed(&stdin)? } else { piped(&stdin)? };
            hash(&text, &mut io::stdout(), &mut io::stderr())?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The key to `out` alone, so that it can be captured or piped without being seen. What goes to `said` is no secret,
/// and only said once somebody has the key.
fn new(name: &str, out: &mut dyn Write, said: &mut dyn Write) -> Result<(), Box<dyn Error>> {
    let key = fresh()?;
    writeln!(out, "{}", key.expose_secret())?;
    out.flush()?;
    let digest = KeyDigest::of(key.expose_secret().as_bytes());
    let mut text = format!(
        "# The key of {name} is the line on stdout. It is shown once: give it to the client.\n\
         # For the configuration, under `clients:`\n"
    );
    let _ = writeln!(text, "  - name: {}\n    key_sha256: {digest}", scalar(name)); // a String takes all
    said.write_all(text.as_bytes())?;
    Ok(())
}

fn hash(
    text: &SecretString,
    out: &mut dyn Write,
    said: &mut dyn Write,
) -> Result<(), Box<dyn Error>> {
    let (digest, remarks) = KeyDigest::of_text(text.expose_secret())?;
    for remark in remarks {
        writeln!(said, "warning: {remark}")?;
    }
    writeln!(out, "{digest}")?;
    Ok(())
}

/// A key of 256 random bits.
fn fresh() -> Result<SecretString, &'static str> {
    let (mut key, mut bytes) = (PREFIX.to_owned(), [0; 64]);
    while key.len() < PREFIX.len() + LENGTH {
        rand::fill(&mut bytes).map_err(|_| "the system gives no random bytes")?;
        // Six bits choose of 64; those that would choose the 63rd or 64th are thrown again, so that all are as likely.
        let letters = bytes.iter().filter_map(|byte| LETTERS.get(usize::from(byte >> 2)));
        let missing = PREFIX.len() + LENGTH - key.len();
        key.extend(letters.take(missing).map(|letter| char::from(*letter)));
    }
    Ok(key.into())
}

/// A name as YAML takes it for this text: `-` begins an item, and `null` is nothing.
fn scalar(name: &str) -> String {
    let is_plain = name.starts_with(|c: char| c.is_ascii_alphabetic());
    if is_plain && !name.eq_ignore_ascii_case("null") {
        name.to_owned()
    } else {
        format!("\"{name}\"")
    }
}

fn piped(stdin: &io::Stdin) -> io::Result<SecretString> {
    let mut text = String::new();
    stdin.lock().take(MOST_BYTES).read_to_string(&mut text)?;
    Ok(text.into())
}

/// One line that nobody sees.
fn typed(stdin: &io::Stdin) -> io::Result<SecretString> {
    let _silence = Silence::on(stdin)?;
    // Said when echo is off: whoever answers the question is not seen.
    write!(io::stderr(), "Key (it is not shown): ")?;
    let mut text = String::new();
    stdin.lock().take(MOST_BYTES).read_line(&mut text)?;
    writeln!(io::stderr())?;
    Ok(text.into())
}

/// A terminal that shows nothing of what is typed. Dropped, it shows it again. Ctrl-C would leave it silent: as for
/// `getpass` it is a letter meanwhile, and no key has it.
struct Silence<'a> {
    stdin: &'a io::Stdin,
    before: Termios,
}

impl<'a> Silence<'a> {
    fn on(stdin: &'a io::Stdin) -> io::Result<Self> {
        let before = tcgetattr(stdin)?;
        let mut silent = before.clone();
        silent.local_modes.remove(LocalModes::ECHO | LocalModes::ISIG);
        tcsetattr(stdin, OptionalActions::Flush, &silent)?;
        Ok(Self { stdin, before })
    }
}

impl Drop for Silence<'_> {
    fn drop(&mut self) {
        // Fails where the terminal is gone.
        let _restored = tcsetattr(self.stdin, OptionalActions::Flush, &self.before);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn made(name: &str) -> (String, String) {
        let (mut out, mut said) = (Vec::new(), Vec::new());
        new(name, &mut out, &mut said).unwrap();
        (String::from_utf8(out).unwrap(), String::from_utf8(said).unwrap())
    }

    #[test]
    fn a_key_is_256_bits_in_letters_that_need_no_quotes_and_no_two_are_the_same() {
        let keys: HashSet<_> =
            (0..1_000).map(|_| fresh().unwrap().expose_secret().to_owned()).collect();
        assert_eq!(keys.len(), 1_000);
        assert!((LETTERS.len() as f64).log2() * LENGTH as f64 >= 256.0);
        let mut seen = HashSet::new();
        for key in keys {
            let random = key.strip_prefix("fb-").unwrap();
            assert_eq!(random.len(), LENGTH);
            seen.extend(random.bytes());
        }
        assert_eq!(seen, LETTERS.iter().copied().collect(), "each of them, and nothing else");
    }

    #[test]
    fn the_key_is_said_on_one_side_only_and_its_hash_on_the_other() {
        let (out, said) = made("app-a");
        let key = out.strip_suffix('\n').unwrap();
        assert!(!key.contains('\n') && !said.contains(key), "{said}");
        let digest = KeyDigest::of(key.as_bytes()).to_string();
        assert!(said.contains(&format!("  - name: app-a\n    key_sha256: {digest}\n")), "{said}");
    }

    #[test]
    fn a_name_that_yaml_would_take_for_something_else_is_quoted() {
        for name in ["-", "---", "1", ".inf", "null", "Null", "a"] {
            let (_, said) = made(name);
            let quoted = if name == "a" { name.to_owned() } else { format!("\"{name}\"") };
            assert!(said.contains(&format!("- name: {quoted}\n")), "{said}");
        }
    }

    #[test]
    fn nothing_is_said_of_a_key_that_nobody_got() {
        struct Gone;
        impl Write for Gone {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let mut said = Vec::new();
        assert!(new("app-a", &mut Gone, &mut said).is_err() && said.is_empty());
    }

    #[test]
    fn a_key_is_hashed_as_the_configuration_reads_it() {
        let hashed = |text: &str| {
            let (mut out, mut said) = (Vec::new(), Vec::new());
            hash(&text.to_owned().into(), &mut out, &mut said).unwrap();
            (String::from_utf8(out).unwrap(), String::from_utf8(said).unwrap())
        };
        let key = "fb-0123456789abcdefghij";
        let digest = format!("{}\n", KeyDigest::of(key.as_bytes()));
        assert_eq!(hashed(key), (digest.clone(), String::new()));
        assert_eq!(hashed(&format!("{key}\r\n")), (digest.clone(), String::new()));
        let (same, said) = hashed(&format!("'{key}' \n"));
        assert!(same == digest && said.contains("which were left out"), "{said}");
        assert!(hashed("short").1.contains("can be guessed"));
    }

    #[test]
    fn what_is_no_key_is_refused_without_showing_it() {
        for (text, why) in [
            ("", "is empty"),
            ("canary\ncanary", "control character"),
            ("canary\u{3}", "control character"),
            ("Bearer canary", "begins with `Bearer`"),
        ] {
            let refused = hash(&text.to_owned().into(), &mut Vec::new(), &mut Vec::new());
            let refused = refused.unwrap_err().to_string();
            assert!(refused.contains(why) && !refused.contains("canary"), "{refused}");
        }
    }
}
