import Formats
import Foundation
import Neural
import Testing

@testable import DiffuseVAE

@Suite struct PriorTests {
  typealias Covariance = GaussianMixture.Covariance

  private func vae(_ latent: Int) -> VAE {
    var settings = VAESettings()
    (settings.hidden, settings.latent) = ([], latent)
    return VAE(settings, pixels: 3, seed: 0)
  }

  private func mixture(_ covariance: Covariance) throws -> GaussianMixture {
    try GaussianMixture(
      weights: [0.3, 0.7], means: [1, 2, -0.1, 5],
      factors: covariance == .full ? [0.1, 0, 0.7, 1.1, 2, 0, -3, 0.3] : [0.1, 2, 3, 4],
      covariance: covariance)
  }

  private func read(
    _ file: SafeTensors, latent: Int = 2, _ covariance: Covariance
  ) throws -> GaussianMixture {
    try GaussianMixture(
      SafeTensors(decoding: file.encoded(), file: "p"), latent: latent, covariance: covariance,
      path: "p")
  }

  @Test(
    "What is written reads as itself to single precision, and the same draws every time",
    arguments: Covariance.allCases)
  func roundTrip(covariance: Covariance) throws {
    let mixture = try mixture(covariance)
    let file = try SafeTensors(decoding: mixture.file(metadata: [:]).encoded(), file: "p")
    let (first, second) = (try read(file, covariance), try read(file, covariance))
    #expect(first == second)
    for (found, expected) in [
      (first.weights, mixture.weights), (first.means, mixture.means),
      (first.factors, mixture.factors),
    ] {
      for (a, b) in zip(found, expected) { #expect(abs(a - b) <= 0x1p-23 * abs(b)) }
    }
    for index in 0..<20 {
      func draw(_ mixture: GaussianMixture) throws -> Matrix {
        try LatentPrior.mixture(mixture).draw([index], of: vae(2), seed: 1, temperature: 1)
      }
      #expect(try draw(first) == draw(second))
      #expect(try distance(draw(first), draw(mixture)) < 1e-5)
    }
  }

  @Test("A file that is no such mixture is named, and the tensor that is wrong")
  func damage() throws {
    let whole = try SafeTensors(decoding: mixture(.full).file(metadata: [:]).encoded(), file: "p")
    func reading(_ change: (inout SafeTensors) -> Void) -> String {
      var file = whole
      change(&file)
      return problem { try read(file, .full) }
    }
    func tensor(_ shape: [Int], _ elements: [Float]) -> Tensor {
      Tensor(shape: shape, elements: elements)
    }
    #expect(reading { $0.tensors["means"] = nil }.hasPrefix("p: is no prior for this run: its"))
    #expect(reading { $0.tensors["more"] = tensor([1], [1]) }.contains("must be factors, means"))
    #expect(reading { $0.tensors["weights"] = tensor([], [1]) }.contains("must be factors, means"))
    #expect(reading { $0.tensors["weights"] = tensor([0], []) }.contains("factors is [2, 2, 2]"))
    #expect(reading { $0.tensors["weights"] = tensor([3], [1, 1, 1]) }.contains("expected [3, 2"))
    #expect(reading { $0.tensors["means"] = tensor([4], [1, 1, 1, 1]) }.contains("means is [4]"))
    #expect(
      reading { $0.tensors["weights"] = tensor([2], [-1, 2]) }.contains("must not be negative"))
    #expect(reading { $0.tensors["means"] = tensor([2, 2], [0, .nan, 0, 0]) }.contains("finite"))
    #expect(
      reading { $0.tensors["factors"] = tensor([2, 2, 2], [1, 0, 0, 0, 1, 0, 0, 1]) }.contains(
        "diagonals positive"))
    #expect(problem { try read(whole, latent: 3, .full) }.contains("expected [2, 3, 3]"))
    #expect(problem { try read(whole, .diagonal) }.contains("expected [2, 2]"))
    let empty = SafeTensors(
      tensors: [
        "weights": tensor([0], []), "means": tensor([0, 2], []), "factors": tensor([0, 2, 2], []),
      ])
    #expect(problem { try read(empty, .full) }.contains("weights of a mixture"))
  }

  @Test("Temperature scales the deviation from the mean of what is drawn from")
  func temperature() throws {
    let priors = [LatentPrior.normal, .mixture(try mixture(.full))]
    for (prior, means) in zip(priors, [[[0, 0]], [[1, 2], [-0.1, 5]]] as [[[Float]]]) {
      for index in 0..<20 {
        let draws = try [0, 0.5, 1].map {
          try prior.draw([index], of: vae(2), seed: 3, temperature: $0).elements
        }
        #expect(means.contains(draws[0]))
        for i in 0..<2 {
          #expect(abs(2 * (draws[1][i] - draws[0][i]) - (draws[2][i] - draws[0][i])) < 1e-5)
        }
      }
    }
  }

  @Test("A fitted prior has the moments of the latents; what is missing is fitted on resuming")
  func fitting() throws {
    try inTemporaryFolder { runs in
      let configuration = try small("training.vae.steps=200", "prior.covariance=diagonal")
      let run = try trainedRun(in: runs, configuration)
      let bytes = try File.read(run.weightsFile(.prior))
      guard case .mixture(let mixture) = try Model(of: run).prior, let vae = try Model(of: run).vae
      else { return #expect(Bool(false), "no mixture") }
      #expect(try Model(of: run, prior: .normal).prior.isNormal)
      #expect(mixture.components == 3 && mixture.dimensions == 4)
      // E[z] and E[z²] over q(z|x) and all images; a draw of each image has some error.
      let digits = try Dataset(configuration.data).training
      let posterior = vae.encode(digits.pixels(0..<digits.count), labels: nil)
      let variance = posterior.logVariance.elements.map { Double.exp(Double($0)) }
      let means = posterior.mean.elements.map(Double.init)
      let n = Double(digits.count)
      for i in 0..<4 {
        let rows = stride(from: i, to: means.count, by: 4)
        let first = rows.reduce(0) { $0 + means[$1] } / n
        let second = rows.reduce(0) { $0 + means[$1] * means[$1] + variance[$1] } / n
        var (fitted, square) = (0.0, 0.0)
        for (component, weight) in mixture.weights.enumerated() {
          let (m, s) = (
            mixture.means[4 * component + i], mixture.factors[4 * component + i]
          )
          fitted += weight * m
          square += weight * (m * m + s * s)
        }
        #expect(abs(fitted - first) < 4 * (second / n).squareRoot())
        // z² has a deviation of about √2 times its mean.
        #expect(abs(square - second) < 4 * second * (2 / n).squareRoot())
      }

      try FileManager.default.removeItem(atPath: run.weightsFile(.prior))
      #expect(!run.isComplete)
      #expect(problem { try Model(of: run) }.contains("prior.safetensors is missing"))
      let training = Training(
        run, configuration, data: try Dataset(configuration.data), threads: 1, logger: .silent)
      #expect(try training.train(configuration.stages))
      #expect(run.isComplete)
      #expect(try File.read(run.weightsFile(.prior)) == bytes)
    }
  }

  @Test("A run that needs no mixture has none")
  func notNeeded() throws {
    try inTemporaryFolder { runs in
      for (name, setting) in [("a", "prior.kind=normal"), ("b", "diffusion.formulation=none")] {
        let run = try trainedRun(in: runs, name: name, try small(setting))
        #expect(run.isComplete && !run.has(run.weightsFile(.prior)))
        #expect(try Model(of: run).prior.isNormal)
      }
      let baseline = Run(folder: "\(runs)/b")
      #expect(problem { try Model(of: baseline, prior: .normal) }.contains("and so no prior"))
      let plain = Run(folder: "\(runs)/a")
      #expect(problem { try Model(of: plain, prior: .mixture) }.contains("prior.kind normal"))
    }
  }

  @Test("A latent that tells nothing is drawn as noise", arguments: ["mixture", "diffusion"])
  func inactive(kind: String) throws {
    try inTemporaryFolder { runs in
      let configuration = try small(
        "training.vae.steps=200", "prior.kind=\(kind)", "prior.width=24", "prior.blocks=1",
        "prior.steps=3", "training.prior.steps=5", "training.prior.batch=50")
      let data = try Dataset(configuration.data)
      let run = try Run.create(in: runs, name: "a", stem: "small", configuration)
      let training = Training(run, configuration, data: data, threads: 2, logger: .silent)
      #expect(try training.train([.vae]))
      // The encoder's last layer gives [mean | ln variance] of four latents: both are 0 for the
      // second, so that its posterior is N(0, 1) whatever the image is.
      let path = run.weightsFile(.vae)
      var file = try SafeTensors.read(path)
      for (name, width) in [("encoder.1.weight", 24), ("encoder.1.bias", 1)] {
        let tensor = try #require(file.tensors[name])
        #expect(tensor.elements.count == 8 * width)
        var numbers = tensor.elements
        for place in 0..<8 * width where [1, 5].contains(place / width) { numbers[place] = 0 }
        file.tensors[name] = Tensor(shape: tensor.shape, elements: numbers)
      }
      try File.writeAtomically(file.encoded(), to: path)
      #expect(try training.train(configuration.stages))

      let decoder = JSONDecoder()
      decoder.keyDecodingStrategy = .convertFromSnakeCase
      let report = try decoder.decode(
        LatentReport.self, from: Data(try File.read(run.latentsFile)))
      #expect(report.latents.map(\.active) == [true, false, true, true])
      let prior = try Model(of: run).prior
      let z = try prior.draw(Array(0..<50), of: vae(4), seed: 1, temperature: 1)
      let noise = RandomStream(seed: 1, purpose: .latent).normal(rows: 0..<50, columns: 4)
      for i in 0..<4 {
        let isNoise = distance(z.columns(i..<i + 1), noise.columns(i..<i + 1)) < 1e-6
        #expect(isNoise == (i == 1))
      }
    }
  }

  @Test("Only the settings of a prior's own kind, and not its sampling, decide whether it fits")
  func ownSettings() throws {
    func settings(_ change: String...) throws -> PriorSettings { try small(change).prior }
    let changes = [
      "components=4", "covariance=diagonal", "samples=100", "width=8", "blocks=1", "steps=2",
    ]
    for (kind, own) in [("mixture", 0..<3), ("diffusion", 3..<5), ("normal", 0..<0)] {
      let kind = "prior.kind=\(kind)"
      for (place, change) in changes.enumerated() {
        let other = try settings(kind, "prior.\(change)")
        #expect(try other != settings(kind))
        #expect(try other.isTrained(like: settings(kind)) == !own.contains(place))
      }
    }
    #expect(try !settings("prior.kind=normal").isTrained(like: settings()))
  }

  @Test("A prior fitted under other settings of the VAE or the prior is refused")
  func otherSettings() throws {
    try inTemporaryFolder { runs in
      let run = try trainedRun(in: runs, try small())
      let other = try small("prior.components=4")
      try File.writeAtomically(Array(other.yaml.utf8), to: run.configurationFile)
      #expect(problem { try Model(of: run) }.contains("was trained under another configuration"))
    }
  }
}

extension LatentPrior {
  fileprivate var isNormal: Bool { if case .normal = self { true } else { false } }
}
