import Foundation
import Testing

@testable import DiffuseVAE

/// Texts that are not, or only just, a configuration.
@Suite struct ConfigurationHostileTests {
  @Test func whatYAMLOffersAndIsRefused() {
    #expect(problems("vae: &v {latent: 3}") == ["a.yaml:1:6: anchors are not allowed"])
    #expect(problems("vae: {latent: &l 3}") == ["a.yaml:1:15: anchors are not allowed"])
    #expect(problems("&v vae: {latent: 3}") == ["a.yaml:1:1: anchors are not allowed"])
    #expect(problems("vae: {latent: *l}") == ["a.yaml:1:15: aliases are not allowed"])
    #expect(problems("*v : 5") == ["a.yaml:1:1: aliases are not allowed"])
    #expect(
      problems("base: &b {}\nvae:\n  <<: *b\n  latent: 3").suffix(2) == [
        "a.yaml:3:3: merge keys are not allowed", "a.yaml:3:7: aliases are not allowed",
      ])
    for tag in ["!!int 3", "!foo 3", "! 3", "!<tag:yaml.org,2002:int> 3", "!!str 3"] {
      #expect(problems("vae: {latent: \(tag)}") == ["a.yaml:1:15: tags are not allowed"])
    }
    #expect(problems("vae: !!map {latent: 0}").count == 2)
    #expect(problems("?a: 3") == ["a.yaml:1:1: a key must be a word"])
    for (text, place) in [("[1, 2]: 3", "1:7"), ("{a: b} : 3\nvae: 3", "1:8"), ("{[a]: 3}", "1:5")]
    {
      #expect(problems(text).count == 1)
      #expect(problems(text)[0].hasPrefix("a.yaml:\(place): not YAML: "), "\(problems(text))")
    }
    #expect(problems("{? vae : 5}") == ["a.yaml:1:2: a key must be a word"])
    #expect(
      problems("? vae\n: 5") == [
        "a.yaml:2:1: not YAML: did not find expected <document start>"
      ])
    #expect(
      problems("vae: {}\n--- # next\ndata: {}") == [
        "a.yaml:2:1: a second document begins here; a configuration is one"
      ])
  }

  @Test func whatIsNotYAML() {
    #expect(
      problems("vae:\n\tlatent: 3") == [
        "a.yaml:2:1: not YAML: found character that cannot start any token "
          + "while scanning for the next token"
      ])
    #expect(
      problems("vae: {latent: 3\ndata: {}") == [
        "a.yaml:2:5: not YAML: did not find expected ',' or '}' while parsing a flow mapping"
      ])
    #expect(
      problems("vae: {latent: 3}\ndata: \"x") == [
        "a.yaml:2:9: not YAML: found unexpected end of stream while scanning a quoted scalar"
      ])
    #expect(problems("a: b: c").first?.hasPrefix("a.yaml:1:5: not YAML: ") == true)
    #expect(
      problems("data: {set: a\u{7}}") == ["a.yaml:1:14: the character \\u{07} is not allowed"])
    #expect(problems("ä: \u{85}") == ["a.yaml:1:4: the character \\u{0085} is not allowed"])
    #expect(problems("\u{0}") == ["a.yaml:1:1: the character \\0 is not allowed"])
    #expect(
      problems("a\r\nb\rc\n\u{100001}") == [
        "a.yaml:4:1: the character \\u{00100001} is not allowed"
      ])
    #expect(
      problems("data: {set: \"\\U00100000\"}") == [
        "a.yaml:1:14: characters from U+100000 on are not allowed"
      ])
  }

  @Test(arguments: ["[", "{", "- ", "? ", "a: [", "{a: ", "[{", "[[a], "])
  func deepNesting(_ opening: String) {
    let text = String(repeating: opening, count: 60_000 / opening.utf8.count)
    #expect(problems(text).count == 1)
    #expect(problems("vae: " + text).count == 1)
    #expect(problems("{? \(text.prefix(900)) x").count >= 1)
  }

  @Test func deepIndentation() {
    let lines = (0..<350).map { String(repeating: " ", count: $0) + "a:\n" }
    #expect(problems(lines.joined()).count == 1)
  }

  @Test(.timeLimit(.minutes(1))) func aliasesOfAliases() {
    var text = "l0: &l0 [x, x]\n"
    for level in 1...60 {
      text +=
        "l\(level): &l\(level) [\(Array(repeating: "*l\(level - 1)", count: 9).joined(separator: ","))]\n"
    }
    text = "*l60 : 1\n" + text
    #expect(problems(text).contains("a.yaml:1:1: aliases are not allowed"))
    for key in ["? *l60\n", "? [*l60]\n", "[*l60]", "{*l60 : 1}", "{a: *l60}"] {
      #expect(problems(text + key + ": 2\n").count == 1)
    }

    let chain = (1...3_000).map { "- &a\($0) [*a\($0 - 1)]\n" }
    let many = problems("- &a0 x\n" + chain.joined())
    #expect(many.count == 101 && many.last == "a.yaml: there are more mistakes than these")
  }

  @Test(.timeLimit(.minutes(1))) func keysInKeys() {
    let explicit = String(repeating: "? ", count: 900) + String(repeating: "- x\n", count: 15_000)
    #expect(problems(explicit).count == 1)

    let (opening, closing) = (
      String(repeating: "{", count: 200), String(repeating: ": 1}", count: 200)
    )
    let nested = (1...30).map { "\(opening)\($0)\(closing): 1\n" }
    let repeated = (1...20).map { "a: \($0)\n" }
    #expect(problems((nested + repeated).joined()).count == 1)
  }

  @Test(.timeLimit(.minutes(5))) func mutations() throws {
    var random = SplitMix(state: 1)
    var readable = 0
    let alphabet = Array("{}[]&*!|>%@`\"'#:,?-~ \t\r\n\\0123456789.eE+-<=aelnrtu_".utf8)
    for name in try ConfigurationTests.names() {
      let url = ConfigurationTests.folder.appendingPathComponent(name)
      let text = [try String(contentsOf: url, encoding: .utf8), Configuration().yaml]
      for index in 0..<500 {
        var bytes = Array(text[index % 2].utf8)
        for _ in 0..<([1, 1, 2, 6].randomElement(using: &random) ?? 1) {
          let position = Int.random(in: bytes.indices, using: &random)
          switch Int.random(in: 0..<5, using: &random) {
          case 0: bytes[position] = .random(in: 0...255, using: &random)
          case 1: bytes[position] = alphabet.randomElement(using: &random) ?? 0
          case 2: bytes.insert(alphabet.randomElement(using: &random) ?? 0, at: position)
          case 3: bytes.removeSubrange(position..<min(position + 3, bytes.count - 1))
          default:
            let end = Int.random(in: position..<min(position + 60, bytes.count), using: &random)
            bytes.insert(
              contentsOf: bytes[position...end], at: Int.random(in: bytes.indices, using: &random))
          }
        }
        let mutated = String(decoding: bytes, as: UTF8.self)
        do throws(ConfigurationError) {
          let override = index % 5 == 0 ? [String(mutated.suffix(index % 40))] : []
          let configuration = try Configuration(
            yaml: mutated, name: "a.yaml", overriding: override)
          #expect(try Configuration(yaml: configuration.yaml, name: "b.yaml") == configuration)
          readable += 1
        } catch {
          #expect(!error.problems.isEmpty)
          #expect(
            error.problems.allSatisfy { $0.hasPrefix("a.yaml:") || $0.hasPrefix("--set ") },
            "\(error)")
        }
      }
    }
    #expect(readable > 500, "else hardly more than the parser is tested")
  }

  /// Vigna's SplitMix64: small, and the same numbers in every run.
  private struct SplitMix: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
      state &+= 0x9E37_79B9_7F4A_7C15
      var z = state
      z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
      z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
      return z ^ (z >> 31)
    }
  }
}
