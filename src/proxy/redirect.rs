//! Redirects of an upstream: see [`relay::head::toward_client`].

use http::HeaderValue;
use http::header::{Entry, HeaderMap, LOCATION};

use super::Proxy;
use super::context::RequestContext;
use crate::config::{Redirects, Target, UpstreamId};
use crate::relay::head::{Way, toward_client};

impl Proxy {
    /// Makes each `location` of an answer of `from`'s one that the client can follow, without what we added to
    /// the query on the way up.
    pub(super) fn redirect(
        &self,
        context: &RequestContext<'_>,
        from: UpstreamId,
        headers: &mut HeaderMap,
    ) {
        let Entry::Occupied(mut entry) = headers.entry(LOCATION) else { return };
        for line in entry.iter_mut() {
            let Ok(said) = line.to_str() else { continue };
            let hidden = self.hide_query(from, said);
            let said = hidden.as_deref().unwrap_or(said);
            let Some(text) = self.followed(context, from, said).or(hidden.clone()) else {
                continue;
            };
            // Made of what was a header's value and of paths, which can be one.
            if let Ok(value) = HeaderValue::try_from(text) {
                *line = value;
            }
        }
    }

    fn followed(
        &self,
        context: &RequestContext<'_>,
        from: UpstreamId,
        said: &str,
    ) -> Option<String> {
        let upstream = self.config.upstream(from)?;
        if upstream.redirects == Redirects::Pass {
            return None;
        }
        let matched = self.table.lookup(context.head.uri.path()).ok()?;
        let own = Way { prefix: matched.prefix, upstream };
        // The matched route comes first: the client is on it.
        let routes = self.config.routes.get(matched.route.0).into_iter().chain(&self.config.routes);
        let routes =
            routes.flat_map(|route| route.targets().map(move |target| (&*route.path, target)));
        toward_client(said, own, routes.flat_map(|(path, target)| self.ways(path, target)))
    }

    /// By one route to everyone that it leads to.
    fn ways<'a>(&'a self, path: &'a str, target: Target) -> impl Iterator<Item = Way<'a>> {
        let prefix = path.trim_end_matches('/');
        let ids = self.config.members(target);
        ids.filter_map(move |id| Some(Way { prefix, upstream: self.config.upstream(id)? }))
    }

    fn hide_query(&self, from: UpstreamId, said: &str) -> Option<String> {
        let (before, rest) = said.split_once('?')?;
        let (query, fragment) = rest.split_at(rest.find('#').unwrap_or(rest.len()));
        let left = self.upstreams.get(from.0)?.head.hide_query(query)?;
        let sign = if left.is_empty() { "" } else { "?" };
        Some(format!("{before}{sign}{left}{fragment}"))
    }
}
