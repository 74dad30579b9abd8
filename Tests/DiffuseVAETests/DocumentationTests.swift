import DiffuseVAE
import Foundation
import Testing

/// The articles of the documentation catalogues. A row of their tables is an idea: its equation,
/// files, settings and tests, the last three in backquotes.
@Suite struct DocumentationTests {
  private static let root = URL(fileURLWithPath: #filePath)
    .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

  private func text(_ path: String) throws -> String {
    try String(contentsOf: Self.root.appendingPathComponent(path), encoding: .utf8)
  }

  /// Paths of the files in `Sources` that match.
  private func sources(_ pattern: some RegexComponent) throws -> [String] {
    let folder = Self.root.appendingPathComponent("Sources").path
    return try FileManager.default.subpathsOfDirectory(atPath: folder)
      .filter { $0.contains(pattern) }.sorted().map { "Sources/\($0)" }
  }

  private func articles() throws -> [String] { try sources(/\.docc\/.*\.md$/) }

  /// What is in backquotes, row by row and cell by cell.
  private func rows(of article: String) throws -> [[[String]]] {
    let lines = try text(article).replacing("\\|", with: "").split(separator: "\n")
    return lines.filter { $0.hasPrefix("| ") }.dropFirst().map { line in
      line.split(separator: "|").map { cell in cell.matches(of: /`([^`]+)`/).map { String($0.1) } }
    }
  }

  @Test("Files, settings, options and tests that articles name are there")
  func names() throws {
    let commands = try sources(/^(diffusevae-|interpolate|CommandSupport).*\.swift$/).map(text)
      .joined()
    for article in try articles() {
      for row in try rows(of: article) {
        try #require(row.count == 5 && !row[2].isEmpty && !row[4].isEmpty, "\(article): \(row)")
        for file in row[2] { #expect(throws: Never.self, "\(article)") { try text(file) } }
        for option in row[3] where option.hasPrefix("--") {
          let words = option.dropFirst(2).prefix { $0 != " " }.split(separator: "-")
          let name = words[0] + words.dropFirst().map(\.capitalized).joined()
          #expect(try commands.contains(Regex("var \(name)( =|:)")), "\(article): \(option)")
        }
        let settings = row[3].filter { !$0.hasPrefix("--") }.map { $0.replacing(": ", with: "=") }
        #expect(throws: Never.self, "\(article)") {
          try Configuration(yaml: "", name: article, overriding: settings)
        }
        for test in row[4] {
          let parts = test.split { "./".contains($0) }
          try #require(parts.count == 3, "\(article): \(test)")
          let code = (try? text("Tests/\(parts[0])/\(parts[1]).swift")) ?? ""
          let tests = code.components(separatedBy: "@Test").dropFirst()
            .compactMap { $0.firstMatch(of: /func (\w+)/)?.1 }
          #expect(
            code.contains("struct \(parts[1]) ") && tests.contains(parts[2]),
            "\(article): there is no test \(test)")
        }
      }
    }
  }

  @Test("Every choice of a setting has a row; articles are listed, and have 40 lines at most")
  func complete() throws {
    let settings = Set(try articles().flatMap { try rows(of: $0) }.flatMap { $0[3] })
    let choices = Configuration.reference.matches(of: /`([\w.]+)` \| .*? \| (\S+(?: or \S+)+) \|/)
    for (_, name, values) in choices.map(\.output)
    where !name.hasPrefix("denoiser.") && values != "true or false" {
      for value in values.split(separator: " or ") where value != "none" {
        #expect(settings.contains("\(name): \(value)"), "\(name): \(value) has no row")
      }
    }
    for article in try articles() {
      let path = article.split(separator: "/")
      let first = try text("Sources/\(path[1])/\(path[2])/\(path[1]).md")
      let isListed = path[3] == "\(path[1]).md" || first.contains("<doc:\(path[3].dropLast(3))>")
      #expect(try isListed && text(article).count { $0 == "\n" } <= 40, "\(article)")
    }
  }
}
