//! Clients whose models count: held to some of them, or charged by what they cost. Their requests may name a model in
//! more places than one, and it is the upstream that chooses among them.

use http::{Method, Uri, request};

use crate::admit::Caller;
use crate::config::PriceId;
use crate::error::{Error, Kind};

const NAMES_NONE: &str = "This key may use some models only, and the request names none: the upstream would choose \
    one. Put the model in the request's body.";
const NO_PATH: Kind = Kind::ModelUnreadable(
    "The request's path or query has more than one reading, and this key's models go by it.",
);

/// Segments of a path that have a model behind them, at Azure, Bedrock, Vertex AI and in older paths.
const ONE_MODEL: [&str; 5] = ["deployments", "engines", "model", "tunedModels", "endpoints"];

/// Every model that a request names.
pub(super) struct Named<'a> {
    /// In its body, or in a path of one model.
    first: Option<&'a str>,
    /// Wherever else in its path or query an upstream may look for it, percent-decoded.
    others: Vec<String>,
    /// An upstream would take a model of its own.
    wants_one: bool,
}

impl<'a> Named<'a> {
    /// `first`: what was found where models usually stand.
    ///
    /// # Errors
    /// [`Kind::ModelUnreadable`]: the path or query is not plain.
    pub(super) fn of(
        head: &request::Parts,
        first: Option<&'a str>,
        has_body: bool,
    ) -> Result<Self, Error> {
        let sends = [Method::POST, Method::PUT, Method::PATCH].contains(&head.method);
        let others = others(&head.uri).ok_or(NO_PATH)?;
        Ok(Self { first, others, wants_one: sends || has_body })
    }

    /// Whether a client that is held to some models may ask for all of them.
    ///
    /// # Errors
    /// [`Kind::ModelNotAllowed`], [`Kind::ModelMissing`].
    pub(super) fn check(&self, caller: &Caller) -> Result<(), Error> {
        if !caller.is_held_to_models() {
            return Ok(());
        }
        let mut all = self.all().peekable();
        if all.peek().is_none() && self.wants_one {
            return Err(Error::with(Kind::ModelMissing, NAMES_NONE));
        }
        Ok(all.try_for_each(|name| caller.may_ask(name))?)
    }

    /// What the dearest of them costs. What names none costs what all others cost.
    pub(super) fn price(&self, caller: &Caller) -> Option<PriceId> {
        let none = if self.first.is_none() && self.others.is_empty() { Some("") } else { None };
        caller.dearest_price(self.all().chain(none))
    }

    fn all(&self) -> impl Iterator<Item = &str> {
        self.first.into_iter().chain(self.others.iter().map(String::as_str))
    }
}

/// What stands behind a segment `models`, the segment behind one of [`ONE_MODEL`], and `model` of the query.
/// `None` where upstreams could read other names than these.
fn others(uri: &Uri) -> Option<Vec<String>> {
    let path = plain(uri.path())?.replace('\\', "/");
    if path.split('/').any(|segment| segment == "..") {
        return None;
    }
    let behind = |(at, _)| -> Option<&str> {
        let (segment, behind) = path[at + 1..].split_once('/')?;
        let one = behind.split('/').next().unwrap_or_default();
        let is = |word: &&str| segment.eq_ignore_ascii_case(word);
        if is(&"models") { Some(behind) } else { ONE_MODEL.iter().any(is).then_some(one) }
    };
    let mut names: Vec<String> =
        path.match_indices('/').filter_map(behind).map(str::to_owned).collect();
    for pair in uri.query().unwrap_or_default().split(['&', ';']) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        if super::percent_decoded(name).is_none_or(|name| name.eq_ignore_ascii_case("model")) {
            names.push(plain(value)?.into());
        }
    }
    names.retain(|name| !name.is_empty());
    Some(names)
}

/// What is encoded twice is decoded twice by some.
fn plain(text: &str) -> Option<Box<str>> {
    let is_encoded = |it: &[u8]| it[0] == b'%' && it[1..].iter().all(u8::is_ascii_hexdigit);
    super::percent_decoded(text).filter(|text| !text.as_bytes().windows(3).any(is_encoded))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_is_found_wherever_a_path_or_query_may_name_it() {
        let names = |uri: &str| others(&uri.parse().unwrap());
        for (uri, expected) in [
            ("/v1/chat/completions", &[][..]),
            ("/v1/models", &[]),
            ("/v1/models/", &[]),
            ("/v1/files?model&limit=7", &[]),
            ("/v1/files/50%25", &[]),
            ("/v1/models/gpt-4o", &["gpt-4o"]),
            ("/v1/models/meta%2Fllama", &["meta/llama"]),
            ("/v1beta/%6Dodels/gemini:embedContent", &["gemini:embedContent"]),
            ("/v1//Models\\x", &["x"]),
            ("/openai/deployments/gpt-4o/chat/completions?api-version=1", &["gpt-4o"]),
            ("/deployments/a/models/b", &["a", "b"]),
            ("/v1/engines/gpt-4/completions", &["gpt-4"]),
            ("/model/claude/converse", &["claude"]),
            ("/v1/tunedmodels/mine:generateContent", &["mine:generateContent"]),
            ("/v1/endpoints/7:predict", &["7:predict"]),
            ("/v1/listen?a=b&model=nova", &["nova"]),
            ("/v1/listen?Model=a;mo%64el=b%2D", &["a", "b-"]),
        ] {
            let names = names(uri).unwrap();
            assert_eq!(names, expected, "{uri}");
        }
        for uri in [
            "/v1/models/a/../b",
            "/v1/models/a/%2e%2e/b",
            "/v1/models/a\\..\\b",
            "/v1/%256Dodels/b",
            "/v1/x?model=%256D",
            "/v1/models/%ff",
        ] {
            assert_eq!(names(uri), None, "{uri}");
        }
    }
}
