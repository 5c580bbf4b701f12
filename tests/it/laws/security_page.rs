//! The page on security prints the table of methods and roles as the code has it.

use std::path::Path;

use stationmaster::domain::access::{METHODS, Method, ROLES, Role};

use super::source::hold;

const BEGIN: &str = "<!-- roles:begin -->";
const END: &str = "<!-- roles:end -->";

/// The table: a row for each method, a column for each role, `yes` or nothing.
fn table(methods: &[Method]) -> String {
    let cells = |first: String, others: [&str; 5]| {
        let mut row = format!("| {first} |");
        for cell in others {
            row.push(' ');
            row.push_str(cell);
            row.push_str(if cell.is_empty() { "|" } else { " |" });
        }
        row
    };
    let head = cells("method".to_owned(), ROLES.map(Role::as_str));
    let rule = cells("---".to_owned(), ["---"; 5]);
    let rows = methods.iter().map(|method| {
        let admitted = |role| if method.roles.admit(role) { "yes" } else { "" };
        let name = format!("{}.{}", method.service, method.name);
        cells(name, ROLES.map(admitted))
    });
    let lines: Vec<String> = [head, rule].into_iter().chain(rows).collect();
    lines.join("\n")
}

/// What the page prints between its marks; `None` unless each mark is there once, in order.
fn printed(page: &str) -> Option<&str> {
    let (_, rest) = page.split_once(BEGIN)?;
    let (printed, rest) = rest.split_once(END)?;
    let again = [printed, rest]
        .iter()
        .any(|part| part.contains(BEGIN) || part.contains(END));
    (!again).then_some(printed.trim())
}

/// What is wrong with the page, the table it must print included.
fn offence(page: &str, methods: &[Method]) -> Option<String> {
    let expected = table(methods);
    (printed(page) != Some(&expected)).then(|| {
        format!("docs/security.md must print between `{BEGIN}` and `{END}`:\n\n{expected}\n")
    })
}

#[test]
fn the_page_on_security_prints_the_table_of_roles() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/security.md");
    let page = std::fs::read_to_string(page).unwrap();

    let offences: Vec<String> = offence(&page, METHODS).into_iter().collect();
    hold("the page prints the table of roles", &offences);
}

#[test]
fn the_law_of_the_page_on_security_sees_what_breaks_it() {
    let row = METHODS.iter().find(|row| row.name == "GetTenant").unwrap();
    let expected = "| method | operator | admin | auditor | daemon | user |\n\
        | --- | --- | --- | --- | --- | --- |\n\
        | TenantService.GetTenant | yes | yes | yes | | |";
    let page = |table: &str| format!("# Page\n\n{BEGIN}\n{table}\n{END}\n\nMore.\n");

    assert_eq!(offence(&page(expected), &[*row]), None);
    for broken in [
        expected.to_owned(),
        page(""),
        page(&expected.replacen("yes", "", 1)),
        page(&format!("{expected}\n| TenantService.Gone | yes | | | | |")),
        page(expected).repeat(2),
    ] {
        let offence = offence(&broken, &[*row]).unwrap();
        assert!(offence.contains(expected), "{broken}");
    }
}
