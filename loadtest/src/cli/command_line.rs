//! The command line as a report shows it.

/// The command line for the report, with what may be a secret left out.
pub(super) fn command_line(args: impl Iterator<Item = String>) -> String {
    let shown = args.enumerate().map(|(nth, arg)| {
        if nth == 0 {
            return "loadtest".to_owned();
        }
        let secret = arg.split_once(':').filter(|(name, _)| {
            let name = name.trim_start_matches("-H").trim_start_matches("--header=").trim();
            let name = name.to_ascii_lowercase();
            ["authorization", "key", "token", "cookie", "secret"]
                .iter()
                .any(|word| name.contains(word) && !name.contains('/') && !name.contains('{'))
        });
        let arg = secret.map_or(arg.clone(), |(name, _)| format!("{name}: …"));
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_=./:@%,+".contains(c);
        if arg.chars().all(plain) { arg } else { format!("'{}'", arg.replace('\'', "'\\''")) }
    });
    shown.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_left_out_of_the_command_shown() {
        let args = ["/x/loadtest", "run", "-H", "Authorization: Bearer sk-1", "-Hapi-key:sk-2"];
        let shown = command_line(args.map(str::to_owned).into_iter());
        assert_eq!(shown, "loadtest run -H 'Authorization: …' '-Hapi-key: …'");
        let plain = ["x", "run", "http://127.0.0.1:8080/v1", "-d", "a 'b'"];
        let shown = command_line(plain.map(str::to_owned).into_iter());
        assert_eq!(shown, r"loadtest run http://127.0.0.1:8080/v1 -d 'a '\''b'\'''");
    }
}
