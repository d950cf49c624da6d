//! Requests that go where their models say: the model is looked for in the path, and then in the body as it
//! arrives. What is read for that goes up first, byte for byte.

mod fetch;
mod held;
mod offers;

use std::cell::RefCell;
use std::future::poll_fn;

use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};

use super::Proxy;
use super::context::RequestContext;
use crate::admit::ModelTold;
use crate::algo::percent;
use crate::config::{ByModel, ModelId, Target};
use crate::error::{Error, Kind};
use crate::proto::field::Scan;
use crate::record::Outcome;
use crate::relay::{self, Peek, RelayBody, Upload};
use crate::route::Match;
use held::Named;

pub use offers::Offers;

/// Characters of a model's name that are repeated to whoever sent it.
const LONGEST_SHOWN: usize = 100;
/// Patterns that are named to a client.
const MOST_SHOWN: usize = 8;

const TWO_TYPES: Kind = Kind::ModelUnreadable("The request has two content-type headers.");
const NO_TYPE: Kind = Kind::ModelUnreadable("The request's content-type is not valid.");
const NO_NAME: Kind =
    Kind::ModelUnreadable("The model's name in the path is not percent-encoded UTF-8.");

/// The model that a request names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Model {
    /// As the client wrote it, 512 bytes at most; `None` where the request names none.
    pub(super) name: Option<Box<str>>,
    /// The pattern that it counts as.
    pub(super) id: Option<ModelId>,
}

/// Where a request goes.
pub(super) enum Led {
    /// To an upstream or group, with what is known of the model.
    To(Target, ModelTold),
    /// Nowhere: the list of models is ours.
    Listed(Bytes),
}

/// What a path below a route says of models.
#[derive(Debug, PartialEq, Eq)]
enum Asked<'a> {
    All,
    /// Percent-encoded.
    One(&'a str),
}

impl Proxy {
    /// Where a request goes whose model must be known: for its route has `models`, or its client may use some only, or
    /// has a budget in money.
    ///
    /// # Errors
    /// As [`Proxy::model`]; [`Kind::ModelUnknown`], [`Kind::ModelMissing`], [`Kind::ModelsUnknown`],
    /// [`Kind::ModelNotAllowed`]. What follows the model in the body may still fail the upload: see
    /// [`Upload::poll_peek`].
    pub(super) async fn lead_by_model(
        &self,
        context: &RequestContext<'_>,
        route: Match<'_>,
        upload: &RefCell<Upload>,
    ) -> Result<Led, Error> {
        let models = self.config.routes.get(route.route.0);
        let models = models.and_then(|route| route.models.as_deref());
        // Until an upstream is known; some are refused before.
        context.record.on_route(route.route);
        let (head, caller) = (context.head, context.caller);
        let reads = head.method == Method::GET || head.method == Method::HEAD;
        if let Some(models) = models
            && reads
            && asked(&head.uri.path()[route.prefix.len()..]) == Some(Asked::All)
        {
            let allowed = |model: &str| caller.is_none_or(|caller| caller.may_ask(model).is_ok());
            return Ok(Led::Listed(self.list_models(models, allowed).await?));
        }
        let most = models.map_or(ByModel::MOST_BYTES, |models| models.most_bytes);
        // Files have none; where it goes, and whether it may, does not depend on it.
        let may_lack = models.is_none() && !caller.is_some_and(|caller| caller.is_held_to_models());
        let Model { name, id } = self.model(context, route, upload, (most, may_lack)).await?;
        let mut told = ModelTold { label: id, ..ModelTold::default() };
        if let Some(caller) = caller.filter(|caller| caller.asks_for_model()) {
            let named = Named::of(head, name.as_deref(), !upload.borrow().is_empty())?;
            named.check(caller)?;
            told.price = named.price(caller);
        }
        let target = match (models, name) {
            (None, _) => route.target,
            (Some(models), Some(name)) => {
                models.target(&name).ok_or_else(|| unknown(&name, models))?
            }
            (Some(models), None) => models.otherwise.ok_or(Kind::ModelMissing)?,
        };
        Ok(Led::To(target, told))
    }

    /// The model that a request names: in the first `most` bytes of its body (which it `may_lack`), or in its path, where
    /// that is of one model. The body counts first: an upstream may resolve a path of one model to another. Waits for the
    /// client, within its deadlines; nothing of the body went up yet, and nothing of it is lost. To be called once.
    ///
    /// # Errors
    /// [`Kind::ModelCompressed`], and as [`Upload::poll_peek`].
    pub(super) async fn model(
        &self,
        context: &RequestContext<'_>,
        route: Match<'_>,
        upload: &RefCell<Upload>,
        (most, may_lack): (usize, bool),
    ) -> Result<Model, Error> {
        let head = context.head;
        let in_body = if upload.borrow().is_empty() {
            None
        } else {
            let mut peek = Peek::new(scan(&head.headers)?, most, may_lack);
            let peeked = poll_fn(|cx| upload.borrow_mut().poll_peek(cx, &mut peek)).await;
            // What was read of a body that is refused is not held until its sender has done.
            peeked.inspect_err(|_| upload.borrow_mut().settle())?
        };
        let name = match (in_body, asked(&head.uri.path()[route.prefix.len()..])) {
            (None, Some(Asked::One(name))) => Some(percent_decoded(name).ok_or(NO_NAME)?),
            (in_body, _) => in_body,
        };
        let id = name.as_deref().and_then(|name| self.config.model_label(name));
        if name.is_some() {
            context.record.model(id);
        }
        Ok(Model { name, id })
    }

    /// The answer to a request for the list of models.
    pub(super) fn tell_models(
        &self,
        context: &RequestContext<'_>,
        list: Bytes,
    ) -> Response<RelayBody> {
        let (head, record) = (context.head, context.record);
        let length = HeaderValue::from(list.len());
        // Over HTTP/2 hyper would send a body to HEAD too, and the client reset the stream for that.
        let body = if head.method == Method::HEAD { Bytes::new() } else { list };
        record.status(StatusCode::OK);
        record.end(Outcome::Complete);
        record.sent(body.len() as u64);
        let mut answer = Response::new(RelayBody::own(body, self.patience(head.version)));
        let headers = answer.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(http::header::CONTENT_LENGTH, length);
        headers.insert(relay::head::REQUEST_ID, context.id.clone());
        answer
    }
}

/// No rule takes it. What was found is the sentence for the client: it says what there is.
fn unknown(name: &str, models: &ByModel) -> Error {
    let shown: String = name.chars().take(LONGEST_SHOWN).collect();
    let cut = if shown.len() < name.len() { "…" } else { "" };
    let patterns: Vec<_> = models.rules().map(|(glob, _)| glob.text()).collect();
    let more = match patterns.len().saturating_sub(MOST_SHOWN) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let known = patterns[..patterns.len().min(MOST_SHOWN)].join(", ");
    let sentence = format!(
        "The model {shown}{cut} is not available here. This route has {known}{more}; check the model's name."
    );
    Error::with(Kind::ModelUnknown, sentence)
}

/// `rest` is what the path has behind its route's prefix. An upstream without a base path has the route `/`, and
/// its models under `/v1`.
fn asked(rest: &str) -> Option<Asked<'_>> {
    let below = rest.strip_prefix("/v1").unwrap_or(rest).strip_prefix("/models")?;
    match below.strip_prefix('/') {
        None if below.is_empty() => Some(Asked::All),
        Some("") => Some(Asked::All),
        // Names of some have a slash of their own.
        Some(name) => Some(Asked::One(name)),
        None => None,
    }
}

fn percent_decoded(text: &str) -> Option<Box<str>> {
    String::from_utf8(percent::decoded(text)?).ok().map(String::into_boxed_str)
}

/// How a body with this head is read.
fn scan(headers: &HeaderMap) -> Result<Scan, Kind> {
    let identity = |value: &HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"identity");
    if !headers.get_all(CONTENT_ENCODING).iter().all(identity) {
        return Err(Kind::ModelCompressed);
    }
    let mut lines = headers.get_all(CONTENT_TYPE).iter();
    let line = match (lines.next(), lines.next()) {
        (_, Some(_)) => return Err(TWO_TYPES),
        (line, None) => line.map(HeaderValue::to_str).transpose().map_err(|_| NO_TYPE)?,
    };
    Scan::of(line.unwrap_or_default()).map_err(Kind::ModelUnreadable)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_below_models_is_of_one_model_or_of_all() {
        for (rest, expected) in [
            ("/models", Some(Asked::All)),
            ("/models/", Some(Asked::All)),
            ("/v1/models", Some(Asked::All)),
            ("/models/gpt-4o", Some(Asked::One("gpt-4o"))),
            ("/v1/models/a/b%2Fc", Some(Asked::One("a/b%2Fc"))),
            ("/modelsx", None),
            ("/chat/completions", None),
            ("", None),
        ] {
            assert_eq!(asked(rest), expected, "{rest}");
        }
    }

    #[test]
    fn a_name_in_a_path_is_decoded() {
        assert_eq!(percent_decoded("a/b%2Fc%3a").as_deref(), Some("a/b/c:"));
        assert_eq!(percent_decoded("%C3%A9").as_deref(), Some("é"));
        for wrong in ["%", "%4", "%zz", "%ff"] {
            assert_eq!(percent_decoded(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_model_that_nobody_has_is_told_with_what_there_is() {
        let glob = |nth: usize| crate::config::Glob::new(&format!("m{nth}-*")).unwrap();
        let target = Target::Upstream(crate::config::UpstreamId(0));
        let models = ByModel::new((0..20).map(|nth| (glob(nth), target)), None);
        let told = unknown(&"é".repeat(500), &models).found().unwrap();
        assert!(told.contains("é… is not") && told.contains(" and 12 more;"), "{told}");
        assert!(told.len() < 500, "{told}");
    }
}
