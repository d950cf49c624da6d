//! What an upstream is sent that the client did not say, and what of the client's own credentials it sees.

use std::collections::HashSet;

use http::HeaderName;
use http::header::AUTHORIZATION;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use crate::config::file::fault::Complaint;
use crate::config::key::Key;
use crate::config::key::reader::{Fields, Reader};
use crate::config::kind::by_name::ByName;
use crate::config::kind::header::FieldName;
use crate::config::kind::many::Many;
use crate::config::kind::optional::Optional;
use crate::config::kind::scalar::Flag;
use crate::config::kind::secret::SecretText;
use crate::config::kind::{Around, Kind};

pub(super) static AUTH_HEADER: Key<FieldName> = Key::new(
    "auth_header",
    FieldName,
    "Header that carries the key: `api-key` for Azure, `x-api-key` for Anthropic, `x-goog-api-key` \
     for Google. In `authorization` the key is a bearer token, in any other header it stands alone.",
);

pub(super) static HEADERS: Key<ByName<SecretText>> = Key::new(
    "headers",
    ByName(SecretText),
    "Headers that are set on every request, in place of the client's header of the same name. \
     Values are treated as secrets.",
);

pub(super) static QUERY: Key<ByName<SecretText>> = Key::new(
    "query",
    ByName(SecretText),
    "Query parameters that are added to every request, in place of the client's of the same name, \
     such as Azure's `api-version`. Values are percent-encoded, and treated as secrets.",
);

pub(super) static FORWARD_AUTHORIZATION: Key<Flag> = Key::new(
    "forward_authorization",
    // A client's key is not ours to spread.
    Flag { default: false },
    "Forward the client's own credentials: `authorization`, organization headers, and all others. \
     Not allowed together with `key`.",
);

pub(super) static FORWARD_HEADERS: Key<Many<Optional<FieldName>>> = Key::new(
    "forward_headers",
    // A client's credentials are for the proxy. Where one is for the upstream, the operator knows.
    Many(Optional(FieldName)),
    "Headers of the client that are forwarded although they carry credentials, such as `cookie`.",
);

pub(super) static FORWARD_QUERY: Key<Many<Parameter>> = Key::new(
    "forward_query",
    Many(Parameter),
    "Query parameters of the client that are forwarded although they carry credentials, such as \
     `token`.",
);

/// What goes to one upstream beside what the client said.
#[derive(Debug, Clone)]
pub struct Outgoing {
    /// Carries the upstream's key.
    pub auth_header: HeaderName,
    /// Set on every request. Each name once.
    pub headers: Vec<(HeaderName, SecretString)>,
    /// What the URL has behind its `?`, encoded.
    pub url_query: Option<SecretString>,
    /// Added to every request's query, after what the URL says; not encoded.
    pub query: Vec<(String, SecretString)>,
    /// Credentials of the client's that it may see.
    pub forward_headers: Vec<HeaderName>,
    /// The same in a query.
    pub forward_query: Vec<String>,
}

impl Default for Outgoing {
    fn default() -> Self {
        Self {
            auth_header: AUTHORIZATION,
            headers: Vec::new(),
            url_query: None,
            query: Vec::new(),
            forward_headers: Vec::new(),
            forward_query: Vec::new(),
        }
    }
}

/// What else the section says that these keys must agree with.
#[derive(Clone, Copy)]
pub(super) struct Beside<'a> {
    pub(super) has_key: bool,
    pub(super) forward_authorization: bool,
    pub(super) url_query: Option<&'a SecretString>,
}

impl Outgoing {
    pub(super) fn read(reader: &mut Reader<'_>, fields: &Fields<'_>, beside: Beside<'_>) -> Self {
        let forward_headers = reader.get_many(fields, &FORWARD_HEADERS);
        let forward_query = reader.get_many(fields, &FORWARD_QUERY);
        let outgoing = Self {
            auth_header: reader.get(fields, &AUTH_HEADER),
            headers: headers(reader, fields),
            url_query: beside.url_query.cloned(),
            query: reader.get_by_name(fields, &QUERY),
            forward_headers: forward_headers.into_iter().filter_map(|(_, name)| name).collect(),
            forward_query: forward_query.into_iter().filter_map(|(_, name)| name).collect(),
        };
        outgoing.rules(reader, fields, beside);
        outgoing
    }

    fn rules(&self, reader: &mut Reader<'_>, fields: &Fields<'_>, beside: Beside<'_>) {
        let Beside { has_key, forward_authorization, url_query } = beside;
        if fields.has(AUTH_HEADER.name) && !has_key {
            let what = "has no effect without `key`";
            reader.fault_in(fields, &AUTH_HEADER, what, "add the key, or remove the line");
        }
        let sets = |name: &HeaderName| self.headers.iter().any(|(set, _)| set == name);
        if has_key && sets(&self.auth_header) {
            let what = format!("sets `{}`, which carries `key`", self.auth_header);
            reader.fault_in(fields, &HEADERS, what, "remove one of the two");
        }
        if forward_authorization && sets(&AUTHORIZATION) {
            let what = "sets `authorization`, and `forward_authorization` forwards the client's";
            reader.fault_in(fields, &HEADERS, what, "remove one of the two");
        }
        let taken = |name: &&HeaderName| sets(name) || has_key && **name == self.auth_header;
        if let Some(name) = self.forward_headers.iter().find(taken) {
            let what = format!("names `{name}`, which the proxy sets for this upstream");
            reader.fault_in(fields, &FORWARD_HEADERS, what, "remove one of the two");
        }
        let needless = [
            (&FORWARD_HEADERS as &dyn crate::config::key::Entry, !self.forward_headers.is_empty()),
            (&FORWARD_QUERY, !self.forward_query.is_empty()),
        ];
        for (key, _) in needless.into_iter().filter(|(_, is)| *is && forward_authorization) {
            let what = "has no effect with `forward_authorization`, which forwards them all";
            reader.fault_in(fields, key, what, "remove one of the two");
        }
        let of_url = url_query.map_or("", |query| query.expose_secret());
        let of_url: HashSet<_> =
            of_url.split('&').map(|pair| pair.split('=').next().unwrap_or_default()).collect();
        if let Some((name, _)) = self.query.iter().find(|(name, _)| of_url.contains(&**name)) {
            let what = format!("sets `{name}`, which stands in `url` too");
            reader.fault_in(fields, &QUERY, what, "remove one of the two");
        }
    }
}

/// Their names are looked at here: YAML took them for keys.
fn headers(reader: &mut Reader<'_>, fields: &Fields<'_>) -> Vec<(HeaderName, SecretString)> {
    let mut headers: Vec<(HeaderName, SecretString)> = Vec::new();
    for (text, value) in reader.get_by_name(fields, &HEADERS) {
        let read = reader.value_of(&FieldName, &text);
        match read {
            Ok(name) if headers.iter().any(|(known, _)| *known == name) => {
                let what = format!("sets `{name}` twice");
                reader.fault_in(fields, &HEADERS, what, "remove one of the two");
            }
            Ok(name) => headers.push((name, value)),
            Err(Complaint { what, hint, .. }) => {
                reader.fault_in(fields, &HEADERS, format!("{text:?} {what}"), hint);
            }
        }
    }
    headers
}

/// The name of a query parameter.
pub(super) struct Parameter;

impl Kind for Parameter {
    type Value = Option<String>;

    fn read(&self, text: &str, _: &Around<'_>) -> Result<Option<String>, Complaint> {
        if text.is_empty() || text.contains(['=', '&', '?', '#', ';', '%']) {
            let hint = "write it alone and not encoded, like token";
            return Err(Complaint::new("is not the name of a query parameter", hint));
        }
        Ok(Some(text.to_owned()))
    }

    fn absent(&self) -> Option<String> {
        None
    }

    fn name(&self) -> String {
        "name".into()
    }

    fn default_text(&self) -> Option<String> {
        None
    }

    fn schema(&self) -> Value {
        json!({ "type": "string", "minLength": 1 })
    }
}
