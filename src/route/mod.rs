//! Which upstreams may answer a path, and which of them is asked next.
//!
//! `Table`: the longest prefix that matches on a segment boundary. `group`: one request's way through
//! the members of what its route leads to. `pick`: the choice itself, `failover`: whether a failure leads
//! to another choice, `retry_after` and `budget`: when and how often the same ones are asked again, `hedge`: when
//! another is asked beside one that is late; all of them pure.

mod failover;
mod group;
mod hedge;
mod pick;
mod retry_after;
mod traversal;

pub use failover::{after_answer, after_failure, name_of};
pub use group::{Group, Groups, HedgeTarget, Selection};
pub use hedge::Hedging;
pub use retry_after::retry_after;

use crate::config::{Route, RouteId, Target};
use crate::error::Kind;

/// Told only where no shorter route has the path.
const CLIMBS: Kind =
    Kind::BadRequest("Some servers would resolve the request path to one outside its route.");

/// Characters of a path that are repeated to whoever sent it.
const LONGEST_SHOWN: usize = 200;
/// Routes that are named to a client.
const MOST_SHOWN: usize = 8;

/// The routes of a configuration, made for look-up. Small, read-only, cheap to share.
#[derive(Debug, Clone)]
pub struct Table {
    /// Longest prefix first, so that the first match is the right one.
    rules: Vec<Rule>,
}

#[derive(Debug, Clone)]
struct Rule {
    id: RouteId,
    target: Target,
    /// Without its trailing slash; empty for the route `/`.
    prefix: Box<str>,
}

/// The route that a path takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Match<'a> {
    /// Index into [`Config::routes`](crate::config::Config).
    pub route: RouteId,
    /// Who answers.
    pub target: Target,
    /// What a base path of the upstream's replaces: the route's path without a trailing slash.
    pub prefix: &'a str,
}

impl Table {
    /// The table of a checked configuration's routes; [`RouteId`] is the index into them. Of two
    /// routes with the same path the first wins.
    pub fn new(routes: &[Route]) -> Self {
        let rule = |(index, route): (usize, &Route)| Rule {
            id: RouteId(index),
            target: route.target,
            prefix: route.path.trim_end_matches('/').into(),
        };
        let mut rules: Vec<Rule> = routes.iter().enumerate().map(rule).collect();
        rules.sort_by_key(|rule| std::cmp::Reverse(rule.prefix.len()));
        Self { rules }
    }

    /// The route of a request's path, as it was sent: nothing is decoded, merged or resolved, case
    /// counts, and `//` or `..` go on as they are.
    ///
    /// A path that would leave the route's prefix once an upstream resolved its `..`, in whatever way it
    /// reads them, is not under that route; a shorter route may still have it. `*`, the target of
    /// `OPTIONS *`, belongs to the route `/`.
    ///
    /// # Errors
    /// [`Kind::NoRoute`]; [`Kind::BadRequest`] where the path begins as a route's and climbs out of it.
    pub fn lookup(&self, path: &str) -> Result<Match<'_>, Kind> {
        let mut lost = Kind::NoRoute;
        for rule in self.rules.iter().filter(|rule| rule.begins(path)) {
            if !traversal::climbs(&path[rule.prefix.len()..]) {
                return Ok(Match { route: rule.id, target: rule.target, prefix: &rule.prefix });
            }
            lost = CLIMBS;
        }
        Err(lost)
    }

    /// What a client is told whose path has no route: the path, and the routes that there are.
    pub fn no_route(&self, path: &str) -> String {
        let shown: String = path.chars().take(LONGEST_SHOWN).collect();
        let rest = if shown.len() < path.len() { "…" } else { "" };
        let known: Vec<&str> =
            self.rules.iter().map(|rule| &*rule.prefix).take(MOST_SHOWN).collect();
        let more = match self.rules.len() - known.len() {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        format!(
            "No route matches the path {shown}{rest}. The routes of this proxy begin with {}{more}; \
             check the base URL.",
            known.join(", ")
        )
    }
}

impl Rule {
    fn begins(&self, path: &str) -> bool {
        match path.strip_prefix(&*self.prefix) {
            Some("*") => self.prefix.is_empty(),
            Some(rest) => rest.is_empty() || rest.starts_with('/'),
            None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::UpstreamId;

    fn table(paths: &[&str]) -> Table {
        let route = |(index, path): (usize, &&str)| {
            Route::new(*path, Target::Upstream(UpstreamId(index + 10)))
        };
        Table::new(&paths.iter().enumerate().map(route).collect::<Vec<_>>())
    }

    fn index(table: &Table, path: &str) -> Option<usize> {
        table.lookup(path).ok().map(|found| found.route.0)
    }

    #[test]
    fn a_path_without_a_route_is_told_with_the_routes_that_there_are() {
        let told = table(&["/v1", "/local/v1"]).no_route("/chat/completions");
        assert_eq!(
            told,
            "No route matches the path /chat/completions. The routes of this proxy begin with \
             /local/v1, /v1; check the base URL."
        );
        let paths: Vec<_> = (0..20).map(|nth| format!("/v{nth}")).collect();
        let paths: Vec<_> = paths.iter().map(String::as_str).collect();
        let told = table(&paths).no_route(&format!("/{}", "é".repeat(10_000)));
        assert!(
            told.len() < 700 && told.contains("é…. ") && told.contains(" and 12 more"),
            "{told}"
        );
    }

    #[test]
    fn the_longest_prefix_wins_whatever_the_order() {
        for paths in [["/", "/v1", "/v1/files"], ["/v1/files", "/v1", "/"]] {
            let table = table(&paths);
            for (path, prefix) in [
                ("/v1/files/f-1", "/v1/files"),
                ("/v1/models", "/v1"),
                ("/v1", "/v1"),
                ("/other", ""),
                ("/", ""),
            ] {
                let found = table.lookup(path).unwrap();
                assert_eq!(found.prefix, prefix, "{path}");
                assert_eq!(found.target, Target::Upstream(UpstreamId(found.route.0 + 10)));
            }
        }
    }

    #[test]
    fn a_prefix_ends_at_a_segment() {
        let table = table(&["/v1"]);
        assert_eq!(index(&table, "/v1"), Some(0));
        assert_eq!(index(&table, "/v1/"), Some(0));
        assert_eq!(index(&table, "/v1beta"), None);
        assert_eq!(index(&table, "/v"), None);
        assert_eq!(index(&table, "/"), None);
    }

    #[test]
    fn nothing_is_decoded_and_case_counts() {
        let table = table(&["/v1"]);
        assert_eq!(index(&table, "/%761/models"), None);
        assert_eq!(index(&table, "/V1/models"), None);
        assert_eq!(index(&table, "/v1%2fmodels"), None);
        assert_eq!(index(&table, "//v1/models"), None);
        assert_eq!(index(&table, "/v1//models"), Some(0));
    }

    #[test]
    fn a_trailing_slash_of_the_route_says_nothing() {
        let table = table(&["/openai/"]);
        assert_eq!(index(&table, "/openai"), Some(0));
        assert_eq!(index(&table, "/openai/v1"), Some(0));
        assert_eq!(table.lookup("/openai/v1").unwrap().prefix, "/openai");
    }

    #[test]
    fn of_equal_routes_the_first_wins() {
        assert_eq!(index(&table(&["/a", "/a/"]), "/a/x"), Some(0));
    }

    #[test]
    fn a_path_that_climbs_out_of_its_route_is_not_under_it() {
        let only = table(&["/v1"]);
        assert_eq!(only.lookup("/v1/../admin"), Err(CLIMBS));
        assert_eq!(only.lookup("/v2/../v1"), Err(Kind::NoRoute));
        assert_eq!(index(&only, "/v1/a/../models"), Some(0));
        let both = table(&["/v1", "/"]);
        assert_eq!(index(&both, "/v1/../admin"), Some(1), "it is under / all the same");
        assert_eq!(both.lookup("/v1/../../admin"), Err(CLIMBS));
    }

    #[test]
    fn the_asterisk_belongs_to_the_root() {
        assert_eq!(index(&table(&["/v1", "/"]), "*"), Some(1));
        assert_eq!(index(&table(&["/v1"]), "*"), None);
        assert_eq!(index(&table(&["/v1"]), "/v1*"), None);
    }
}
