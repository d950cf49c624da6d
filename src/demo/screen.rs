//! Where the demo is seen: a terminal with colours and a line that changes, or plain lines.

use std::io::{self, IsTerminal, Stdout, Write};

/// A style, as the terminal is told of it (ECMA-48, section 8.3.117).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    Bold,
    Dim,
}

/// Stdout, and what it can show.
pub(super) struct Screen {
    out: Stdout,
    terminal: bool,
    colours: bool,
    /// Whether a line that changes is being shown.
    changing: bool,
}

impl Screen {
    /// The process's stdout. Colours only on a terminal, and not where `NO_COLOR` is set.
    pub(super) fn stdout() -> Self {
        let out = io::stdout();
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        let terminal = out.is_terminal() && !dumb;
        let colours = terminal && std::env::var_os("NO_COLOR").is_none();
        Self { out, terminal, colours, changing: false }
    }

    /// `text` in `style`, where there are styles.
    pub(super) fn styled(&self, style: Style, text: &str) -> String {
        let code = match style {
            Style::Bold => 1,
            Style::Dim => 2,
        };
        if self.colours { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    /// Part of a line, shown at once.
    pub(super) fn part(&mut self, text: &str) -> io::Result<()> {
        self.out.write_all(text.as_bytes())?;
        self.out.flush()
    }

    /// A line; what changed is gone.
    pub(super) fn line(&mut self, text: &str) -> io::Result<()> {
        if std::mem::take(&mut self.changing) {
            self.part("\r\x1b[K")?;
        }
        writeln!(self.out, "{text}")
    }

    /// How far something is. On a terminal one line changes; elsewhere each quarter is a line.
    pub(super) fn progress(&mut self, what: &str, done: u32, all: u32) -> io::Result<()> {
        if self.terminal {
            self.changing = true;
            return self.part(&format!("\r{what}: {done} of {all}\x1b[K"));
        }
        let quarter = |done: u32| u64::from(done) * 4 / u64::from(all.max(1));
        if done > 0 && quarter(done) > quarter(done - 1) {
            self.line(&format!("{what}: {done} of {all}"))?;
        }
        Ok(())
    }
}
