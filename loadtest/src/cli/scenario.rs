//! Scenarios: options kept in a file under a name, one to a line, so that a sweep is a list of
//! files. What follows on the command line wins over it; headers add up.

use std::fs;
use std::path::Path;

use super::trouble::Trouble;

/// Puts the options of each `--scenario FILE` where it stands.
pub(super) fn expand(args: impl Iterator<Item = String>) -> Result<Vec<String>, Trouble> {
    let (mut expanded, mut args) = (Vec::new(), args);
    while let Some(arg) = args.next() {
        let file = match arg.strip_prefix("--scenario=") {
            Some(file) => Some(file.to_owned()),
            None if arg == "--scenario" => {
                Some(args.next().ok_or_else(|| Trouble::usage(&arg, &"needs a file"))?)
            }
            None => None,
        };
        match file {
            None => expanded.push(arg),
            Some(file) => {
                let text = fs::read_to_string(Path::new(&file))
                    .map_err(|error| Trouble::usage(&file, &error))?;
                expanded.extend(options(&text));
            }
        }
    }
    Ok(expanded)
}

/// `--name value` becomes two arguments; a line that starts with no dash is one; `#` begins a
/// comment line.
fn options(text: &str) -> Vec<String> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let lines = lines.filter(|line| !line.starts_with('#'));
    let words = lines.flat_map(|line| match line.split_once(char::is_whitespace) {
        Some((name, value)) if name.starts_with('-') => vec![name, value.trim_start()],
        _ => vec![line],
    });
    words.map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[test]
    fn a_line_is_an_option_and_its_value() {
        let text = "# long\n--rate 200\n\n-H  x-mock-gap-us: 10\n--cold\nhttp://x\n";
        let expected = ["--rate", "200", "-H", "x-mock-gap-us: 10", "--cold", "http://x"];
        assert_eq!(options(text), expected);
    }

    #[test]
    fn every_scenario_in_the_repository_is_understood() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/scenarios");
        let mut count = 0;
        for file in fs::read_dir(folder).unwrap() {
            let path = file.unwrap().path().to_string_lossy().into_owned();
            if !path.ends_with(".scenario") {
                continue;
            }
            let args = ["loadtest", "run", "http://127.0.0.1:1", "--scenario", &path, "-c9"];
            let args = expand(args.map(str::to_owned).into_iter()).unwrap();
            crate::cli::Cli::try_parse_from(&args)
                .unwrap_or_else(|error| panic!("{path}: {error}"));
            let again = [&args[..], &["-c8".to_owned(), "-Ha:b".to_owned()]].concat();
            assert!(crate::cli::Cli::try_parse_from(again).is_ok(), "later ones win");
            count += 1;
        }
        assert!(count > 20);
        assert!(expand(["--scenario".to_owned()].into_iter()).is_err());
    }
}
