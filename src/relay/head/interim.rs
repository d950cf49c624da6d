//! An interim head (1xx) toward the client.

use http::header::CONTENT_LENGTH;
use http::{Response, StatusCode};

use super::clean_hop_by_hop;
use crate::proto::http1::Hints;

/// Passes early hints on to a client that takes them. Of the others 100 is for us, and 102 says no more than that the
/// connection lives.
pub(in crate::relay) fn pass_hints(interim: Response<()>, hints: &Hints) {
    if interim.status() != StatusCode::EARLY_HINTS || !hints.are_taken() {
        return;
    }
    let mut headers = interim.into_parts().0.headers;
    clean_hop_by_hop(&mut headers);
    headers.remove(CONTENT_LENGTH); // no interim answer has a body, whatever it says
    hints.push(&headers);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passed(taken: bool, status: u16, lines: &[(&str, &str)]) -> String {
        let hints = Hints::default();
        hints.begin(taken);
        let mut interim = Response::builder().status(status);
        for (name, value) in lines {
            interim = interim.header(*name, *value);
        }
        pass_hints(interim.body(()).unwrap(), &hints);
        String::from_utf8(hints.end()).unwrap()
    }

    #[test]
    fn hints_pass_without_what_concerns_the_connection_or_a_body() {
        let lines = [
            ("link", "</a>"),
            ("connection", "x-b"),
            ("x-b", "1"),
            ("transfer-encoding", "chunked"),
            ("content-length", "5"),
            ("link", "</c>"),
        ];
        let hint = "HTTP/1.1 103 Early Hints\r\nlink: </a>\r\nlink: </c>\r\n\r\n";
        assert_eq!(passed(true, 103, &lines), hint);
        assert_eq!(passed(false, 103, &lines), "");
    }

    #[test]
    fn no_other_interim_answer_passes() {
        for status in [100, 102, 104, 199] {
            assert_eq!(passed(true, status, &[("link", "</a>")]), "");
        }
    }
}
