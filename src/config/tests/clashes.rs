use super::{World, least};

#[track_caller]
fn assert_fault(text: &str, expected: &str) {
    let faults = World::default().faults(text);
    assert!(faults.len() == 1 && faults[0].contains(expected), "{faults:?}");
}

#[test]
fn the_admin_listener_never_shares_a_client_s_address() {
    assert_fault(
        &least("listen: 127.0.0.1:9090\n", ""),
        "7:9: admin: 127.0.0.1:9090 is already used by the listener 127.0.0.1:9090",
    );
    assert_fault(
        &least("admin: 127.0.0.1:8080\n", ""),
        "7:8: admin: 127.0.0.1:8080 is already used by",
    );
    assert_fault(
        &least("listen: 0.0.0.0:9090\n", ""),
        "is already used by the listener 0.0.0.0:9090",
    );
    for root in
        ["listen: 127.0.0.1:9090\nadmin: off\n", "listen: 127.0.0.1:0\nadmin: 127.0.0.1:0\n"]
    {
        World::default().read(&least(root, "")).unwrap();
    }
}

#[test]
fn an_address_is_listened_on_once() {
    assert_fault(
        &least("listen: [127.0.0.1:80, 127.0.0.1:81, 127.0.0.1:80]\n", ""),
        "7:38: listen: 127.0.0.1:80 is listed twice",
    );
    World::default().read(&least("listen: [127.0.0.1:0, 127.0.0.1:0]\n", "")).unwrap();
}

#[test]
fn listeners_that_take_each_other_s_connections_are_found_across_families() {
    assert_fault(
        &least("listen: ['[::]:80', 127.0.0.1:80]\n", ""),
        "listen: 127.0.0.1:80 is already used by the listener [::]:80, which takes IPv4 too; remove",
    );
    assert_fault(
        &least("listen: '[::]:9090'\n", ""),
        "admin: 127.0.0.1:9090 is already used by the listener [::]:9090, which takes IPv4 too",
    );
    assert_fault(
        &least("listen: 127.0.0.1:80\nadmin: '[::]:80'\n", ""),
        "admin: [::]:80 is already used by the listener 127.0.0.1:80: [::] takes IPv4 too",
    );
    let both = World::default().read(&least("listen: ['0.0.0.0:80', '[::]:80']\n", ""));
    assert_eq!(both.unwrap().listen.len(), 2);
}

#[test]
fn a_path_is_routed_once() {
    let text = "upstreams:\n  a: { url: http://a }\nroutes:\n  - { path: /v1, upstream: a }\n  \
                - { path: /v1, upstream: a }\n";
    assert_fault(text, "5:13: routes[1].path: \"/v1\" has two routes; routes[0] has the same path");
}

#[test]
fn an_upstream_that_is_the_proxy_itself_is_refused() {
    let with = |listen: &str, url: &str| {
        format!(
            "listen: \"{listen}\"\nupstreams: {{ a: {{ url: \"{url}\" }} }}\n\
                 routes: [{{ path: /, upstream: a }}]\n"
        )
    };
    for (listen, url) in [
        ("127.0.0.1:8080", "http://127.0.0.1:8080/v1"),
        ("127.0.0.1:8080", "http://LOCALHOST:8080"),
        ("0.0.0.0:80", "http://127.0.0.2"),
        ("[::1]:8080", "http://[::1]:8080"),
        ("127.0.0.1:8080", "http://0.0.0.0:8080"),
    ] {
        assert_fault(&with(listen, url), "points to firstbyte's own listener");
    }
    for (listen, url) in [
        ("127.0.0.1:8080", "http://127.0.0.1:8081"),
        ("127.0.0.1:8080", "http://127.0.0.2:8080"),
        ("0.0.0.0:8080", "http://10.0.0.7:8080"),
    ] {
        World::default().read(&with(listen, url)).unwrap();
    }
}

#[test]
fn what_goes_with_a_key_needs_one() {
    assert_fault(
        &least("", "    organization: org-1\n"),
        "4:19: upstreams.api.organization: is sent together with `key`, and there is no `key`",
    );
    assert_fault(
        &least("", "    project: p\n"),
        "upstreams.api.project: is sent together with `key`",
    );
    assert_fault(
        &least("", "    key: k\n    forward_authorization: true\n"),
        "5:28: upstreams.api.forward_authorization: can't be used together with `key`, which \
         replaces",
    );
}

#[test]
fn a_ca_file_needs_tls() {
    let text = "upstreams: { a: { url: http://a, ca_file: ca.pem } }\n\
                routes: [{ path: /, upstream: a }]\n";
    let faults = World::default().file("/etc/ca.pem", "pem").faults(text);
    assert!(faults[0].contains("ca_file: has no effect with an http:// URL"), "{faults:?}");
}

#[test]
fn an_upstream_s_name_fits_in_a_label() {
    for name in ["\"a b\"", "\"\"", "\"ü\"", &"a".repeat(65)] {
        let text = format!(
            "upstreams: {{ {name}: {{ url: http://a }} }}\nroutes: [{{ path: /, upstream: {name} }}]\n"
        );
        assert_fault(&text, "is not a valid name");
    }
}
