//! Whose credentials an upstream sees.

use http::header::{AUTHORIZATION, Entry, HeaderMap, HeaderName, HeaderValue};
use secrecy::ExposeSecret;

use super::BadUpstream;
use crate::config;
use crate::upstream::{HeadSize, Marks};

const ORGANIZATION: HeaderName = HeaderName::from_static("openai-organization");
const PROJECT: HeaderName = HeaderName::from_static("openai-project");

/// Whose credentials the upstream sees.
pub(super) enum Credentials {
    /// Ours; the client's go no further.
    Ours {
        authorization: HeaderValue,
        organization: Option<HeaderValue>,
        project: Option<HeaderValue>,
    },
    /// The client's, as they came.
    Clients,
    /// Nobody's.
    Nobody,
}

impl Credentials {
    pub(super) fn of(upstream: &config::Upstream) -> Result<Self, BadUpstream> {
        let value = |text: &Option<String>, field| {
            let parse = |text: &String| HeaderValue::try_from(text);
            text.as_ref().map(parse).transpose().map_err(|_| BadUpstream { field })
        };
        let Some(key) = &upstream.key else {
            let forward = upstream.forward_authorization;
            return Ok(if forward { Self::Clients } else { Self::Nobody });
        };
        let mut authorization = HeaderValue::try_from(format!("Bearer {}", key.expose_secret()))
            .map_err(|_| BadUpstream { field: "key" })?;
        // Not printed by `Debug`, and never put into HPACK's table (RFC 7541, section 7.1.3).
        authorization.set_sensitive(true);
        Ok(Self::Ours {
            authorization,
            organization: value(&upstream.organization, "organization")?,
            project: value(&upstream.project, "project")?,
        })
    }

    pub(super) fn size(&self) -> HeadSize {
        let Self::Ours { authorization, organization, project } = self else {
            return HeadSize::default();
        };
        let line = |name: HeaderName, value: &HeaderValue| name.as_str().len() + value.len();
        let own = HeadSize::default().with(line(AUTHORIZATION, authorization));
        let more = [(ORGANIZATION, organization), (PROJECT, project)];
        more.into_iter().fold(own, |size, (name, value)| match value {
            Some(value) => size.with(line(name, value)),
            None => size,
        })
    }

    /// The client's headers that go for them. Our key is inserted over the client's.
    pub(super) fn displace(&self) -> Marks {
        match self {
            Self::Ours { .. } => Marks::ACCOUNT,
            Self::Clients => Marks::NONE,
            Self::Nobody => Marks::ACCOUNT.and(Marks::AUTHORIZATION),
        }
    }

    pub(super) fn put_in(&self, headers: &mut HeaderMap) {
        match self {
            Self::Ours { authorization, organization, project } => {
                headers.insert(AUTHORIZATION, authorization.clone());
                put(headers, ORGANIZATION, organization.as_ref());
                put(headers, PROJECT, project.as_ref());
            }
            Self::Clients => hide(headers),
            Self::Nobody => {}
        }
    }
}

fn put(headers: &mut HeaderMap, name: HeaderName, value: Option<&HeaderValue>) {
    if let Some(value) = value {
        headers.insert(name, value.clone());
    }
}

/// As with our own key: not in `Debug`, not in HPACK's table.
fn hide(headers: &mut HeaderMap) {
    if let Entry::Occupied(mut entry) = headers.entry(AUTHORIZATION) {
        entry.iter_mut().for_each(|value| value.set_sensitive(true));
    }
}
