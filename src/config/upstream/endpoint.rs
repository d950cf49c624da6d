//! A URL that ends where an endpoint's path does was copied from an example of a request: what the client
//! asks for would be appended to it once more.

use super::Written;
use crate::config::group::Group;
use crate::config::key::reader::Reader;
use crate::config::names::{Target, UpstreamId};
use crate::config::route::Route;

/// What SDKs append to a base URL, each before those that it ends with.
const ENDPOINTS: [&str; 12] = [
    "/chat/completions",
    "/completions",
    "/responses",
    "/embeddings",
    "/models",
    "/messages",
    "/moderations",
    "/images/generations",
    "/audio/speech",
    "/audio/transcriptions",
    "/rerank",
    "/realtime",
];

/// Warns of each upstream whose URL ends with an endpoint and that a route leads to whose path does not.
pub(in crate::config) fn warn(
    reader: &mut Reader<'_>,
    written: &[Written],
    groups: &[Group],
    routes: &[Route],
) {
    for (nth, one) in written.iter().enumerate() {
        let Some(upstream) = &one.meant else { continue };
        let Some(endpoint) = endpoint(&upstream.base_path) else { continue };
        let leads = |route: &&Route| {
            route.targets().any(|target| leads_to(target, UpstreamId(nth), groups))
        };
        let appended = |route: &&Route| !route.path.ends_with(endpoint);
        if let Some(route) = routes.iter().filter(leads).find(appended) {
            let (what, hint) = words(&upstream.base_path, endpoint, &route.path);
            reader.warn(one.url.0, &*one.url.1, what, hint);
        }
    }
}

/// The endpoint that the path of a URL ends with.
pub(in crate::config) fn endpoint(base_path: &str) -> Option<&'static str> {
    ENDPOINTS.into_iter().find(|endpoint| base_path.ends_with(endpoint))
}

/// What is likely not meant, and what to write.
pub(in crate::config) fn words(base_path: &str, endpoint: &str, route: &str) -> (String, String) {
    let route = route.trim_end_matches('/');
    let what = format!(
        "ends with the path of an endpoint: a request for {route}{endpoint} would be sent to \
         {base_path}{endpoint}"
    );
    (what, format!("remove {endpoint} from the end of the URL"))
}

fn leads_to(target: Target, id: UpstreamId, groups: &[Group]) -> bool {
    match target {
        Target::Upstream(one) => one == id,
        Target::Group(group) => {
            let members = groups.get(group.0).map(|group| group.members.iter());
            members.is_some_and(|mut members| members.any(|member| member.upstream == id))
        }
        Target::ByModel | Target::Events | Target::Streams => false, // its targets are looked at instead
    }
}
