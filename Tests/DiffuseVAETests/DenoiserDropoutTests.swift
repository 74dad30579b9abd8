import Formats
import Testing

@testable import DiffuseVAE
@testable import Neural

/// Dropout from the settings down to both kinds of network.
@Suite struct DenoiserDropoutTests {
  static let shape = ImageShape(height: 8, width: 8, channels: 1)
  static let pixels = normal(6, shape.count, seed: 3).sigmoid()

  private func slice(_ rows: Range<Int> = 0..<6, isTraining: Bool = true) -> Slice {
    Slice(
      examples: Self.pixels.rows(rows), rows: rows, batch: 6, seed: 8, step: 2,
      isTraining: isTraining)
  }

  private func objective<Network: Denoiser>(
    for _: Network, dropout: Double
  ) throws -> DiffusionObjective<Network> {
    let configuration = try small()
    return DiffusionObjective(
      process: try DiffusionProcess(configuration.diffusion),
      vae: VAE(configuration.vae, pixels: Self.shape.count, seed: 1), dropout: dropout)
  }

  @Test(
    "Derivatives of the loss agree with finite differences",
    arguments: DenoiserSettings.Kind.learned)
  func gradients(kind: DenoiserSettings.Kind) throws {
    func check<Network: Denoiser>(_ network: Network) throws {
      let objective = try objective(for: network, dropout: 0.3)
      for (name, error) in worstGradientError(objective, network.shaken(0.1), slice()) {
        #expect(error < 5e-3, "\(name)")
      }
    }
    try check(small("denoiser.kind=\(kind)").network(shape: Self.shape))
  }

  @Test(
    "Dropout is for training only, and the same for any lanes",
    arguments: DenoiserSettings.Kind.learned)
  func modes(kind: DenoiserSettings.Kind) throws {
    func check<Network: Denoiser>(_ initial: Network) throws {
      let network = initial.shaken(0.1)
      let (with, without) = (
        try objective(for: network, dropout: 0.3), try objective(for: network, dropout: 0)
      )
      func loss(_ objective: DiffusionObjective<Network>, _ slice: Slice) -> Double {
        objective.forward(network, slice).terms[0]
      }
      let whole = loss(with, slice())
      // Ten times as much as lanes may differ by, below.
      #expect(abs(whole - loss(without, slice())) > 1e-4 * whole)
      #expect(loss(with, slice(isTraining: false)) == loss(without, slice()))
      let lanes = loss(with, slice(0..<1)) + loss(with, slice(1..<6))
      #expect(abs(whole - lanes) < 1e-5 * whole)

      let digits = try Dataset(DataSettings())
      let test = try #require(digits.test)
      let evaluations = try [with, without].map { objective in
        try Trainer(
          // Evaluation is by the averages, which are to be the shaken weights.
          objective, network.averaged, examples: digits.training, settings: StageSettings(),
          lanes: 1, seed: 1, threads: 1
        ).evaluate(on: test)
      }
      #expect(evaluations[0] == evaluations[1])
    }
    try check(small("denoiser.kind=\(kind)").network(shape: Self.shape))
  }

  @Test("Every block has masks of its own, of the rate that was asked for")
  func blocks() throws {
    func dropped(_ kind: DenoiserSettings.Kind) throws -> [Matrix] {
      let configuration = try small(
        "denoiser.kind=\(kind)", "denoiser.channels=[16, 16]", "diffusion.formulation=none")
      let dropout = Dropout(
        rate: 0.3, RandomStream(seed: 1, purpose: .dropout), rows: 0..<40)
      let (x, timesteps) = (normal(40, 64, seed: 1), (0..<40).map { Double($0) })
      switch configuration.network(shape: Self.shape) {
      case let network as MLPDenoiser:
        return network.forward(x, condition: .none, timesteps: timesteps, dropout: dropout)
          .residuals.blocks.map(\.activated)
      case let network as UNetDenoiser:
        let r = network.forward(x, condition: .none, timesteps: timesteps, dropout: dropout)
          .residuals
        return (r.encoder + [r.middle] + r.decoder).map(\.activated2)
      default: return []
      }
    }
    for (kind, count) in [(DenoiserSettings.Kind.mlp, 2), (.unet, 5)] {
      let masks = try dropped(kind).map { $0.elements.map { $0 == 0 } }
      #expect(masks.count == count && Set(masks.map { Array($0.prefix(960)) }).count == count)
      for mask in masks {
        let share = Double(mask.count { $0 }) / Double(mask.count)
        // Four standard errors of a binomial share.
        #expect(abs(share - 0.3) < 4 * (0.21 / Double(mask.count)).squareRoot(), "\(kind)")
      }
    }
  }

  @Test("The setting changes what training makes, and nothing else of a run does")
  func setting() throws {
    try inTemporaryFolder { runs in
      let networks = try ["0", "0.3"].map { rate in
        let run = try trainedRun(in: runs, name: rate, small("denoiser.dropout=\(rate)"))
        return try [Stage.vae, .prior, .denoiser].map {
          try SafeTensors.read(run.weightsFile($0)).tensors
        }
      }
      #expect(networks[0][..<2] == networks[1][..<2])
      #expect(networks[0][2] != networks[1][2])
    }
  }
}
