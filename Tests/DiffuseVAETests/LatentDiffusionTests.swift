import Formats
import Foundation
import Neural
import RealModule
import Testing

@testable import DiffuseVAE

@Suite struct LatentDiffusionTests {
  private func settings(_ more: String...) throws -> Configuration {
    let all =
      [
        "prior.kind=diffusion", "prior.width=24", "prior.blocks=2", "prior.steps=5",
        "training.prior.steps=12", "training.prior.batch=50",
      ] + more
    return try Configuration(yaml: small().yaml, name: "small", overriding: all)
  }

  private let latents = StandardisedLatents(
    active: [0, 2], means: [1, 0, -2, 0], deviations: [2, 1, 0.5, 1])

  private func diffusion() throws -> LatentDiffusion {
    var diffusion = try LatentDiffusion(settings().prior, latents, seed: 1)
    diffusion.network = diffusion.network.shaken(0.1)
    return diffusion
  }

  @Test("Derivatives of the prior's loss agree with finite differences")
  func gradients() throws {
    let diffusion = try diffusion()
    let slice = Slice(
      examples: normal(5, 4, seed: 3), rows: 0..<5, batch: 5, seed: 8, step: 2)
    let objective = LatentObjective(schedule: diffusion.process.schedule)
    let errors = worstGradientError(objective, diffusion.network, slice)
    for (name, error) in errors { #expect(error < 5e-3, "\(name)") }
  }

  @Test("The footprint counts the network's numbers")
  func footprint() throws {
    #expect(
      try settings().prior.footprint(latents: 2).parameters == diffusion().network.parameterCount)
  }

  @Test("Inactive latents are the noise itself, and active ones are put back by their moments")
  func inactive() throws {
    let noise = normal(6, 4, seed: 9)
    let z = try diffusion().latents(from: noise)
    for row in 0..<6 {
      for i in [1, 3] { #expect(z[row, i] == noise[row, i]) }
      for i in [0, 2] { #expect(z[row, i] != noise[row, i]) }
    }
    let restored = latents.restored(Matrix(1, 2, [1, -2]), inactive: Matrix(1, 4, fill: 7))
    #expect(restored.elements == [3, 7, -3, 7])
  }

  @Test("What is written reads as itself; a file that is no such prior is named")
  func file() throws {
    let diffusion = try diffusion()
    let whole = try SafeTensors(
      decoding: Weights.file(of: diffusion.network, latents.tensors, metadata: [:]).encoded(),
      file: "p")
    func read(_ file: SafeTensors, latent: Int = 4) throws -> LatentDiffusion {
      try LatentDiffusion(file, settings().prior, latent: latent, path: "p")
    }
    let again = try read(whole)
    #expect(again.latents == latents)
    let noise = normal(3, 4, seed: 2)
    #expect(try again.latents(from: noise) == diffusion.latents(from: noise))
    func reading(_ change: (inout SafeTensors) -> Void) -> String {
      var file = whole
      change(&file)
      return problem { try read(file) }
    }
    func vector(_ numbers: Float...) -> Tensor { Tensor(shape: [4], elements: numbers) }
    #expect(reading { $0.tensors["latents.means"] = nil }.contains("p: is no prior for this run"))
    #expect(reading { $0.tensors["latents.active"] = vector(0, 2, 0, 0) }.contains("0 or 1"))
    #expect(reading { $0.tensors["latents.active"] = vector(0, 0, 0, 0) }.contains("no latent is"))
    #expect(reading { $0.tensors["latents.means"] = vector(0, .nan, 0, 0) }.contains("finite"))
    #expect(reading { $0.tensors["latents.deviations"] = vector(1, 1, 0, 1) }.contains("positive"))
    #expect(
      reading { $0.tensors["latents.active"] = vector(1, 1, 1, 0) }.contains("architecture"))
    #expect(reading { $0.tensors["output.bias"] = nil }.contains("architecture"))
    #expect(problem { try read(whole, latent: 5) }.contains("latents.active, [5]"))
  }

  @Test("It learns two clusters that a Gaussian of the same moments is far from")
  func learns() throws {
    // z is ±1 with deviation 0.1, in the first of two dimensions; the second one is N(0, 1).
    let rows = (0..<1000).flatMap { row -> [Float] in
      [row % 2 == 0 ? 1 : -1, 0, 2 * Float.log(0.1), 0]
    }
    let posteriors = DiagonalGaussian(Matrix(1000, 4, rows))
    #expect(posteriors.activeDimensions == [0])
    let (means, deviations) = posteriors.aggregatedMoments
    let latents = StandardisedLatents(active: [0], means: means, deviations: deviations)
    let configuration = try settings(
      "prior.width=32", "prior.steps=50", "training.prior.steps=600", "training.prior.ema=0.98")
    var diffusion = try LatentDiffusion(configuration.prior, latents, seed: 1)
    var trainer = try Trainer(
      LatentObjective(schedule: diffusion.process.schedule), diffusion.network,
      examples: posteriors.standardised([0], means: means, deviations: deviations),
      settings: configuration.training.prior, lanes: 1, seed: 1, threads: 1)
    while !trainer.isFinished { _ = try trainer.advance() }
    diffusion.network = trainer.network.averaged
    let z = try diffusion.latents(from: normal(1000, 2, seed: 4))
    let right = (0..<1000).count { z[$0, 0] > 0 }
    // Half of the draws on either side, of which almost none is between the clusters; of a Gaussian
    // 38 % are within half a deviation.
    #expect(abs(right - 500) < 100)
    let between = (0..<1000).count { abs(z[$0, 0]) < 0.5 }
    #expect(between < 50, "\(between)")
    let spread = (0..<1000).reduce(0.0) { $0 + Double(abs(abs(z[$1, 0]) - 1)) } / 1000
    #expect(spread < 0.2, "\(spread)")
  }

  @Test("A whole run: the same bits for any threads, draws that depend on the image's number only")
  func run() throws {
    try inTemporaryFolder { runs in
      // So few steps leave little information in z.
      let configuration = try settings("training.vae.steps=200", "sampling.steps=2")
      let first = try trainedRun(in: runs, name: "one", configuration, threads: 1)
      let second = try trainedRun(in: runs, name: "two", configuration, threads: 2)
      #expect(first.isComplete)
      #expect(
        try File.read(first.weightsFile(.prior)) == File.read(second.weightsFile(.prior)))
      #expect(first.has("\(first.folder)/samples/prior-0000012.png"))
      let model = try Model(of: first)
      func generator(_ threads: Int) throws -> Generator {
        var options = SamplingOptions(configuration.sampling, threads: threads)
        options.batch = 8
        return try Generator(model, options)
      }
      let all = try generator(1).reconstructions(0..<20)
      #expect(try generator(2).reconstructions(5..<13) == all.rows(5..<13))
      #expect(
        try generator(1).drafts([17, 3]).map(\.z)
          == [17, 3].map { index in
            try generator(2).drafts([index])[0].z
          })
      let normal = try Model(of: first, prior: .normal)
      let other = try Generator(normal, SamplingOptions(configuration.sampling, threads: 1))
      #expect(try other.reconstructions(0..<20) != all)
      #expect(problem { try Model(of: first, prior: .mixture) }.contains("prior.kind diffusion"))

      // Other steps of its sampler need no other training.
      let faster = try Configuration(
        yaml: configuration.yaml, name: "c", overriding: ["prior.steps=3"])
      try File.writeAtomically(Array(faster.yaml.utf8), to: first.configurationFile)
      #expect(try Model(of: first).configuration.prior.steps == 3)
      let wider = try Configuration(
        yaml: configuration.yaml, name: "c", overriding: ["prior.width=25"])
      try File.writeAtomically(Array(wider.yaml.utf8), to: first.configurationFile)
      #expect(problem { try Model(of: first) }.contains("trained under another configuration"))
    }
  }
}
