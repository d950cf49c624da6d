//! `routes[].cors`: which web pages may use a route, and how.

use std::time::Duration;

use super::key::reader::{Fields, Reader};
use super::key::{Key, Section, Shape};
use super::kind::header::AnyName;
use super::kind::many::Many;
use super::kind::quantity::Span;
use super::kind::scalar::Flag;
use super::web::{Allowed, Origin};

pub(super) static CORS: Section = Section {
    name: "cors",
    shape: Shape::One,
    required: false,
    doc: "Web pages that may use this route (CORS), instead of `allowed_origins`.",
    entries: &[&ORIGINS, &HEADERS, &CREDENTIALS, &MAX_AGE],
};

static ORIGINS: Key<Many<Origin>> = Key::required(
    "origins",
    Many(Origin),
    "Origins of web pages that may use this route, such as `https://chat.example`; `*` allows all.",
);

static HEADERS: Key<Many<AnyName>> = Key::new(
    "headers",
    Many(AnyName { hint: "write it like content-type; without `headers` pages may send any" }),
    "Request headers that these pages may send, besides those that need no permission. Without it \
     they may send any.",
);

static CREDENTIALS: Key<Flag> = Key::new(
    "credentials",
    // A page sends its key in a header, for which this is not needed.
    Flag { default: false },
    "Let these pages send cookies and client certificates (`credentials: 'include'`). Not allowed \
     together with `*`.",
);

static MAX_AGE: Key<Span> = Key::new(
    "max_age",
    // An origin that is taken out of the configuration is out after this.
    Span { default: Duration::from_secs(600) },
    "How long a browser may keep the answer to a preflight. Browsers have maxima of their own: \
     Chromium 2h, Firefox 24h.",
);

/// What web pages may do on a route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cors {
    /// Whose pages.
    pub origins: Allowed,
    /// Request headers that they may send, in lower case; all where there are none.
    pub headers: Vec<String>,
    /// Whether browsers send cookies along and show the answers of such requests.
    pub credentials: bool,
    /// For how long a preflight's answer holds; browsers count in seconds.
    pub max_age: Duration,
}

impl Cors {
    /// `None` where the section is not written.
    pub(super) fn read(reader: &mut Reader<'_>, route: &Fields<'_>) -> Option<Self> {
        let fields = reader.section(route, &CORS);
        let headers = reader.get_many(&fields, &HEADERS);
        let cors = Self {
            origins: Allowed::read(reader, &fields, &ORIGINS),
            headers: headers
                .into_iter()
                .filter_map(|(_, name)| Some(name?.as_str().to_owned()))
                .collect(),
            credentials: reader.get(&fields, &CREDENTIALS),
            max_age: reader.get(&fields, &MAX_AGE),
        };
        if cors.credentials && cors.origins.any {
            let what =
                "can't be used together with origin `*`: any page could use a visitor's cookies";
            reader.fault_in(&fields, &CREDENTIALS, what, "list the origins, or remove the line");
        }
        route.has(CORS.name).then_some(cors)
    }
}
