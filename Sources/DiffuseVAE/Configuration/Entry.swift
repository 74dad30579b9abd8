/// A setting as it stands, for printing.
struct Entry {
  enum Content {
    case value(String, allowed: String)
    case block([Entry])
  }

  let name: String
  let purpose: String
  let content: Content

  /// One line a setting, blocks indented.
  func yaml(indentation: String = "") -> String {
    switch content {
    case .value(let value, _):
      "\(indentation)\(name): \(value)\n"
    case .block(let entries):
      "\(indentation)\(name):\n" + entries.map { $0.yaml(indentation: indentation + "  ") }.joined()
    }
  }

  /// One row a setting of a Markdown table: path, value, what is allowed, purpose.
  func rows(path: String = "") -> String {
    switch content {
    case .value(let value, let allowed):
      "| `\(path)\(name)` | `\(value)` | \(allowed) | \(purpose) |\n"
    case .block(let entries):
      entries.map { $0.rows(path: "\(path)\(name).") }.joined()
    }
  }
}
