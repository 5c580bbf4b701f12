//! Server-sent events, as far as MCP sends messages in them.

/// The data of every event that is complete, in order (HTML, section 9.2.6).
pub(crate) fn complete(stream: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut data: Vec<&str> = Vec::new();
    for line in stream.split_inclusive('\n') {
        // What comes last may not have arrived whole.
        let Some(line) = line.strip_suffix('\n') else {
            break;
        };
        let line = line.strip_suffix('\r').unwrap_or(line);
        if line.is_empty() {
            if !data.is_empty() {
                found.push(data.join("\n"));
                data.clear();
            }
        } else if let Some(value) = line.strip_prefix("data:") {
            data.push(value.strip_prefix(' ').unwrap_or(value));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_of_complete_events_is_found() {
        let stream =
            ": hello\n\nid: 1\nevent: message\ndata: {\"a\":\ndata: 1}\n\ndata:two\r\n\r\n";

        assert_eq!(complete(stream), ["{\"a\":\n1}", "two"]);
    }

    #[test]
    fn what_has_not_ended_is_not_taken() {
        assert!(complete("data: one\n").is_empty());
        assert_eq!(complete("data: one\n\ndata: tw"), ["one"]);
    }
}
