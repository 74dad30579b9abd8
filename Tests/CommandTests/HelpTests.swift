import Foundation
import Testing

/// What `--help` and the manual pages say.
@Suite struct HelpTests {
  static let commands = [
    "diffusevae-train", "diffusevae-sample", "interpolate", "diffusevae-evaluate",
  ]

  /// Of swift-argument-parser's description of a command.
  struct Description: Decodable {
    let command: Command

    struct Command: Decodable {
      let commandName: String
      let abstract: String?
      let subcommands: [Command]?
      let arguments: [Argument]?
    }

    struct Argument: Decodable {
      let kind, valueName: String
      let abstract: String?
      let allValues: [String]?
    }
  }

  @Test(
    "Every command says what it does, and every option what it is if not given and what it may be",
    arguments: commands)
  func complete(name: String) throws {
    let place = try Place()
    defer { place.remove() }
    let dump = try place.run(name, "--experimental-dump-help")
    let description = try JSONDecoder().decode(Description.self, from: Data(dump.output.utf8))
    #expect(description.command.arguments?.isEmpty == false)
    try check(description.command)
  }

  private func check(_ command: Description.Command) throws {
    let abstract = try #require(command.abstract, "\(command.commandName)")
    #expect(!abstract.isEmpty && abstract.allSatisfy { $0.isASCII })
    for option in command.arguments ?? [] where option.valueName != "subcommands" {
      let text = try #require(option.abstract, "\(command.commandName) \(option.valueName)")
      // Where no UTF-8 is asked for, man loses what else there is.
      #expect(text.allSatisfy { $0.isASCII }, "\(command.commandName): \(text)")
      guard option.kind == "option" else { continue }
      #expect(
        text.contains("(default: ") || text.contains("must be given"),
        "\(command.commandName): \(text)")
      // Names of files and the like may be anything; what else is no choice is a number.
      let isName =
        text.firstMatch(
          of: /X\.npy|PNG|file|folder|Folder|setting of the|Name of|images|dataset:7/) != nil
      let range = /\.\.\.[0-9]|from 0 up|at most|inite number|1 to (5|the|those)|2 or more/
      #expect(
        option.allValues != nil || isName || text.firstMatch(of: range) != nil,
        "\(command.commandName): \(text)")
    }
    for part in command.subcommands ?? [] where part.commandName != "help" { try check(part) }
  }
}
