import Foundation
import Testing

@testable import DiffuseVAE

/// What is wrong with `yaml`, read as the file `a.yaml`.
func problems(_ yaml: String, _ overrides: String...) -> [String] {
  do throws(ConfigurationError) {
    _ = try Configuration(yaml: yaml, name: "a.yaml", overriding: overrides)
    return []
  } catch {
    return error.problems
  }
}

@Suite struct ConfigurationTests {
  static let folder = URL(fileURLWithPath: #filePath)
    .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
    .appendingPathComponent("configs")

  static func names() throws -> [String] {
    try FileManager.default.subpathsOfDirectory(atPath: folder.path)
      .filter { $0.hasSuffix(".yaml") }.sorted()
  }

  // MARK: Values

  @Test(arguments: ["", "\n", "# nothing\n", "{}", "--- {}\n", "\u{FEFF}{}", "{}\r\n", "{}\n...\n"])
  func emptyIsDefault(_ text: String) throws {
    #expect(try Configuration(yaml: text, name: "a.yaml") == Configuration())
  }

  @Test func onlyWhatIsGivenChanges() throws {
    var expected = Configuration()
    expected.data.set = "mnist"
    expected.data.folder = "R&D *new*"
    expected.vae.hidden = [512]
    expected.vae.likelihood = .gaussian
    expected.diffusion.clip = false
    expected.training.vae.epochs = 0.5
    expected.training.denoiser.rate = 2e-4
    expected.training.denoiser.finalRatio = 1
    expected.training.seed = .max
    expected.sampling.steps = 25
    let text = """
      %YAML 1.1
      ---
      # blocks or flow, as you like
      data: {set: mnist, folder: "R&D *new*"}
      vae:
        hidden:
        - 512
        likelihood: 'gaussian'
      "diffusion": {clip: false}
      training:
        vae: {epochs: 0.5}
        denoiser: {rate: 2.0e-4, final_ratio: 1}
        seed: 18446744073709551615
      sampling: {steps: 25}   # more
      """
    #expect(try Configuration(yaml: text, name: "a.yaml") == expected)
    let windows = text.replacingOccurrences(of: "\n", with: "\r\n")
    #expect(try Configuration(yaml: windows, name: "a.yaml") == expected)
  }

  @Test func overridesComeLastAndInOrder() throws {
    let configuration = try Configuration(
      yaml: "vae: {latent: 8, hidden: [3]}", name: "a.yaml",
      overriding: [
        "vae.latent=4", "vae.latent=5", "vae.hidden=[7, 6]", "data.folder=a=b", "data.set=\"5\"",
        "denoiser={width: 9, blocks: 2}", "vae.beta= 0.5 ",
      ])
    #expect(configuration.vae.latent == 5)
    #expect(configuration.vae.hidden == [7, 6])
    #expect(configuration.vae.beta == 0.5)
    #expect(configuration.data == DataSettings(set: "5", folder: "a=b"))
    #expect(configuration.denoiser.width == 9)
    #expect(configuration.denoiser.blocks == 2)
  }

  // MARK: Round trips

  @Test func resolvedConfigurationReadsAsItself() throws {
    var configuration = Configuration()
    #expect(try Configuration(yaml: configuration.yaml, name: "a.yaml") == configuration)

    configuration.vae.hidden = []
    configuration.prior = PriorSettings(
      kind: .normal, components: [10, 20], covariance: .diagonal, samples: 10)
    configuration.diffusion.formulation = .unconditional
    configuration.diffusion.condition = false
    configuration.training.vae.epochs = nil
    configuration.training.vae.steps = 12345
    configuration.training.vae.clip = 0.1 + 0.2
    configuration.training.denoiser.epochs = 1.0 / 3
    configuration.training.denoiser.rate = 2.5e-308
    configuration.training.seed = .max
    configuration.sampling.sampler = .ddpm
    configuration.sampling.variance = .large
    #expect(try Configuration(yaml: configuration.yaml, name: "a.yaml") == configuration)
  }

  @Test(arguments: [
    "data", "null", "~", "Null", "5", "1e3", "true", " ", "a: b", "#", "it's", "\"", "\\", "[x",
    "*a",
    "&a", "R&D *x*", "Größe", "数", "\u{2028}", "e\u{301}", "\u{1F600}", "\u{F0001}", "\u{FFFF}",
    "/data/mnist", "..", "-", "%", "x\u{FEFF}", "-a", "!b", "?", "| c", "> d", "@", "`",
  ])
  func everyTextReadsAsItself(_ text: String) throws {
    var configuration = Configuration()
    configuration.data = DataSettings(set: text, folder: text)
    #expect(try Configuration(yaml: configuration.yaml, name: "a.yaml") == configuration)
  }

  @Test func theDocumentedTableIsTheRealOne() throws {
    let package = URL(fileURLWithPath: #filePath)
      .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
    let document = try String(
      contentsOf: package.appendingPathComponent("docs/configuration.md"), encoding: .utf8)
    #expect(
      document.hasSuffix(Configuration.reference),
      "write it anew: swift run diffusevae-train --settings")
  }

  @Test func resolvedConfigurationIsReadable() {
    #expect(
      Configuration().yaml == """
        data:
          set: digits
          folder: null
          flip: false
          validation: 0

        vae:
          hidden: [1024, 1024]
          activation: silu
          latent: 32
          likelihood: bernoulli
          beta: 1
          binarise: none
          beta_warmup: 0
          free_bits: 0
          samples: 1
          objective: elbo
          classes: 0
          upper_latents: []
          upper_hidden: [100, 100]

        prior:
          kind: mixture
          components: 50
          covariance: full
          samples: null
          width: 256
          blocks: 4
          steps: 50

        diffusion:
          formulation: concat
          condition: true
          condition_latent: false
          classes: 0
          drop_reconstruction: 0
          drop_latent: 0
          drop_label: 0
          condition_noise: 0
          steps: 1000
          schedule: cosine
          zero_snr: false
          target: original
          loss: original
          gamma: 5
          timesteps: uniform
          learn_variance: false
          clip: true

        denoiser:
          kind: mlp
          width: 1024
          blocks: 4
          channels: [32, 64, 64]
          features: 256
          embedding: 256
          dropout: 0

        consistency:
          kind: none
          levels: 8

        training:
          plan: two-stage
          vae:
            epochs: 20
            steps: null
            batch: 256
            rate: 0.002
            warmup: 100
            final_ratio: 0.02
            weight_decay: 0
            epsilon: 1e-08
            clip: null
            ema: 0.999
          prior:
            epochs: 30
            steps: null
            batch: 256
            rate: 0.002
            warmup: 100
            final_ratio: 0.02
            weight_decay: 0
            epsilon: 1e-08
            clip: 1
            ema: 0.999
          denoiser:
            epochs: 20
            steps: null
            batch: 256
            rate: 0.001
            warmup: 100
            final_ratio: 0.1
            weight_decay: 0
            epsilon: 1e-08
            clip: 1
            ema: 0.999
          consistency:
            epochs: 5
            steps: null
            batch: 256
            rate: 0.0002
            warmup: 100
            final_ratio: 0.1
            weight_decay: 0
            epsilon: 1e-08
            clip: 1
            ema: 0.999
          lanes: 2
          seed: 0
          grids: 4
          checkpoint_steps: null
          checkpoints: 2
          on_nonfinite: stop

        sampling:
          sampler: plms
          steps: 10
          eta: 0
          variance: small
          churn: 0
          predictor: ancestral
          corrections: 1
          snr: 0.16
          step_size: 0.2
          tolerance: 0.001
          spacing: uniform
          guidance: 0
          guidance_from: 0
          guidance_to: 1

        """)
  }

  @Test func referenceHasARowForEverySetting() {
    let rows = Configuration.reference.split(separator: "\n")
    let settings = Configuration().yaml.split(separator: "\n").filter { !$0.hasSuffix(":") }
    #expect(rows.count == 2 + settings.count)
    #expect(rows.contains("| `vae.latent` | `32` | an integer in 1…65536 | dimensions of z |"))
    #expect(rows.allSatisfy { $0.filter { $0 == "|" }.count == 5 })
  }

  // MARK: Files

  @Test func everyFileInConfigsReads() throws {
    let names = try Self.names()
    #expect(names.count >= 5 && names.contains("theory/vae-1.yaml"))
    for name in names {
      let configuration = try Configuration(file: Self.folder.appendingPathComponent(name).path)
      #expect(configuration != Configuration(), "\(name)")
    }
  }

  @Test func unreadableFiles() throws {
    func problems(_ path: String, _ overrides: String...) -> [String] {
      do {
        _ = try Configuration(file: path, overriding: overrides)
        return []
      } catch {
        return (error as? ConfigurationError)?.problems ?? ["\(error)"]
      }
    }

    let folder = FileManager.default.temporaryDirectory
      .appendingPathComponent("configuration-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    func write(_ bytes: Data) throws -> String {
      let file = folder.appendingPathComponent("a.yaml")
      try bytes.write(to: file)
      return file.path
    }

    let missing = folder.appendingPathComponent("b.yaml").path
    #expect(
      problems(missing, "vae.latent=0") == [
        "\(missing): cannot be read: No such file or directory",
        "--set vae.latent=0: vae.latent must be an integer in 1…65536, not 0",
      ])
    #expect(problems(folder.path) == ["\(folder.path): cannot be read: it is a folder"])
    #expect(problems("") == [": cannot be read: No such file or directory"])
    #expect(problems("/dev/zero") == ["/dev/zero: cannot be read: it is no regular file"])
    #expect(try problems(write(Data())) == [])

    let full = Data(repeating: UInt8(ascii: "#"), count: 65_536)
    #expect(try problems(write(full)) == [])
    let huge = try write(full + Data([UInt8(ascii: "#")]))
    #expect(problems(huge) == ["\(huge): longer than 65536 bytes"])

    for bytes in [[0xFF], [0xEF, 0xBF], [0xC0, 0x80], [0xED, 0xA0, 0x80]] as [[UInt8]] {
      let file = try write(Data("vae: {}\ndata: {set: ä".utf8) + Data(bytes) + Data("}".utf8))
      #expect(problems(file) == ["\(file):2:14: not UTF-8"])
    }
  }
}
