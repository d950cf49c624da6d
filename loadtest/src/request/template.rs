//! Bodies with places to fill in: `{{prompt}}`, `{{model}}`, `{{max_tokens}}`, `{{stream}}`,
//! `{{number}}`. Text is escaped for a JSON string.

use std::str::FromStr;

/// What fills the places.
#[derive(Clone, Copy, Debug)]
pub struct Values<'a> {
    /// `{{prompt}}`
    pub prompt: &'a str,
    /// `{{model}}`
    pub model: &'a str,
    /// `{{max_tokens}}`
    pub max_tokens: u64,
    /// `{{stream}}`
    pub stream: bool,
    /// `{{number}}`: the request's number in the run, from 0.
    pub number: u64,
}

/// A body in pieces.
#[derive(Clone, Debug)]
pub struct Template(Vec<Piece>);

#[derive(Clone, Debug, PartialEq)]
enum Piece {
    Text(String),
    Prompt,
    Model,
    MaxTokens,
    Stream,
    Number,
}

/// A name between double braces that is not one of ours.
#[derive(Debug, PartialEq, Eq)]
pub struct TemplateError(String);

impl std::fmt::Display for TemplateError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "unknown placeholder {{{{{}}}}}; use prompt, model, max_tokens, stream or number",
            self.0
        )
    }
}

impl std::error::Error for TemplateError {}

impl FromStr for Template {
    type Err = TemplateError;

    fn from_str(text: &str) -> Result<Self, TemplateError> {
        let (mut pieces, mut rest) = (Vec::new(), text);
        while let Some((before, after)) = rest.split_once("{{") {
            // Nested JSON opens braces too: only a plain word between them is a place.
            let word = after.split_once("}}").filter(|(word, _)| is_word(word));
            let Some((word, after)) = word else {
                pieces.push(Piece::Text(format!("{before}{{")));
                rest = &rest[before.len() + 1..];
                continue;
            };
            pieces.push(Piece::Text(before.to_owned()));
            pieces.push(match word.trim() {
                "prompt" => Piece::Prompt,
                "model" => Piece::Model,
                "max_tokens" => Piece::MaxTokens,
                "stream" => Piece::Stream,
                "number" => Piece::Number,
                other => return Err(TemplateError(other.to_owned())),
            });
            rest = after;
        }
        pieces.push(Piece::Text(rest.to_owned()));
        pieces.retain(|piece| *piece != Piece::Text(String::new()));
        Ok(Self(pieces))
    }
}

fn is_word(text: &str) -> bool {
    let word = text.trim();
    !word.is_empty() && word.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

impl Template {
    /// Whether there is no body at all.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether each request's body differs by its number.
    pub fn names_number(&self) -> bool {
        self.0.contains(&Piece::Number)
    }

    /// The body with its places filled.
    pub fn render(&self, values: &Values<'_>) -> String {
        let mut body = String::with_capacity(256 + values.prompt.len());
        for piece in &self.0 {
            match piece {
                Piece::Text(text) => body.push_str(text),
                Piece::Prompt => escape(values.prompt, &mut body),
                Piece::Model => escape(values.model, &mut body),
                Piece::MaxTokens => body.push_str(&values.max_tokens.to_string()),
                Piece::Stream => body.push_str(if values.stream { "true" } else { "false" }),
                Piece::Number => body.push_str(&values.number.to_string()),
            }
        }
        body
    }
}

fn escape(text: &str, out: &mut String) {
    let quoted = serde_json::Value::from(text).to_string();
    out.push_str(&quoted[1..quoted.len() - 1]);
}

#[cfg(test)]
mod tests {
    use super::*;

    const VALUES: Values<'_> =
        Values { prompt: "say \"hi\"\n", model: "m", max_tokens: 7, stream: true, number: 3 };

    #[test]
    fn the_places_are_filled_and_text_is_escaped() {
        let body = r#"{"p":"{{prompt}}","m":"{{ model }}","n":{{max_tokens}},"s":{{stream}}}"#;
        let body = body.parse::<Template>().unwrap().render(&VALUES);
        assert_eq!(body, r#"{"p":"say \"hi\"\n","m":"m","n":7,"s":true}"#);
    }

    #[test]
    fn braces_of_json_are_left_alone() {
        for text in [r#"{"a":{{"b":1}}}"#, "{{", "}}{{ }}", r#"{"a":{"b":{}}}"#, ""] {
            assert_eq!(text.parse::<Template>().unwrap().render(&VALUES), text);
        }
    }

    #[test]
    fn an_unknown_place_is_refused() {
        assert_eq!("{{promt}}".parse::<Template>().unwrap_err(), TemplateError("promt".into()));
    }
}
