//! What was used from one day to another: the question, as a command line and a URL have it.

pub(super) mod format;
pub(super) mod report;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::algo::calendar::{DAY, Date};

/// The parameters that there are.
const PARAMETERS: &str = "since, until, by, format";

/// By what it is told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// By the client.
    Client,
    /// By the model's label.
    Model,
    /// By the day, in UTC.
    Day,
}

/// How it is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// Columns for people.
    #[default]
    Table,
    /// One object.
    Json,
    /// RFC 4180.
    Csv,
}

/// The question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    /// The first day.
    pub since: Date,
    /// The last day, which counts.
    pub until: Date,
    /// In this order; nothing: all together.
    pub by: Vec<By>,
    /// How it is printed.
    pub format: Format,
}

impl By {
    /// Its word, and the column's name.
    pub fn word(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Model => "model",
            Self::Day => "day",
        }
    }

    /// Some with commas between them.
    ///
    /// # Errors
    /// What is wrong, in words.
    pub fn parse(text: &str) -> Result<Vec<Self>, String> {
        let mut all = Vec::new();
        for word in text.split(',').filter(|word| !word.is_empty()) {
            let one =
                [Self::Client, Self::Model, Self::Day].into_iter().find(|by| by.word() == word);
            let one = one.ok_or_else(|| format!("{word:?} is not one of client, model, day"))?;
            if all.contains(&one) {
                return Err(format!("{word} is there twice"));
            }
            all.push(one);
        }
        Ok(all)
    }
}

impl Format {
    /// By its word.
    ///
    /// # Errors
    /// What is wrong, in words.
    pub fn parse(text: &str) -> Result<Self, String> {
        match text {
            "table" => Ok(Self::Table),
            "json" => Ok(Self::Json),
            "csv" => Ok(Self::Csv),
            other => Err(format!("{other:?} is not one of table, json, csv")),
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Table => "table",
            Self::Json => "json",
            Self::Csv => "csv",
        }
    }

    /// Its media type.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Table => "text/plain; charset=utf-8",
            Self::Json => "application/json",
            Self::Csv => "text/csv; charset=utf-8; header=present",
        }
    }
}

fn date(text: &str) -> Result<Date, String> {
    Date::parse(text).ok_or_else(|| format!("{text:?} is not a day; write it like 2026-11-01"))
}

impl Query {
    /// With what is usual in place of what is not said: from the first of this month to today, by client and model.
    ///
    /// # Errors
    /// What is wrong, in words.
    pub fn new(
        since: Option<Date>,
        until: Option<Date>,
        by: Option<Vec<By>>,
        format: Option<Format>,
        now: SystemTime,
    ) -> Result<Self, String> {
        let seconds = now.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs();
        let today = Date::of(seconds / DAY);
        let until = until.unwrap_or(today);
        let since = since.unwrap_or(Date { day: 1, ..until.min(today) });
        if since > until {
            return Err(format!("since, {since}, is later than until, {until}"));
        }
        let by = by.unwrap_or_else(|| vec![By::Client, By::Model]);
        Ok(Self { since, until, by, format: format.unwrap_or_default() })
    }

    /// As a URL's query has it. The format is JSON where none is named.
    ///
    /// # Errors
    /// What is wrong, in words.
    pub fn parse(text: &str, now: SystemTime) -> Result<Self, String> {
        let (mut since, mut until, mut by, mut format) = (None, None, None, Some(Format::Json));
        for pair in text.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            // The only one of the characters that these values have which is sent in another way.
            let value = value.replace("%2C", ",").replace("%2c", ",");
            let wrong = |what: String| format!("{name}: {what}");
            match name {
                "since" => since = Some(date(&value).map_err(wrong)?),
                "until" => until = Some(date(&value).map_err(wrong)?),
                "by" => by = Some(By::parse(&value).map_err(wrong)?),
                "format" => format = Some(Format::parse(&value).map_err(wrong)?),
                other => {
                    return Err(format!("{other:?} is not one of the parameters {PARAMETERS}"));
                }
            }
        }
        Self::new(since, until, by, format, now)
    }

    /// The same as a URL's query.
    pub fn text(&self) -> String {
        let by: Vec<_> = self.by.iter().map(|by| by.word()).collect();
        format!(
            "since={}&until={}&by={}&format={}",
            self.since,
            self.until,
            by.join(","),
            self.format.word()
        )
    }

    /// Numbers of the first and the last day.
    pub(super) fn days(&self) -> (u32, u32) {
        let number = |date: Date| u32::try_from(date.days()).unwrap_or(u32::MAX);
        (number(self.since), number(self.until))
    }
}
