import Diffusion
import Neural

/// Both stages' networks, trained together.
struct BothNetworks<Network: LearnedDenoiser>: Parameterized {
  static var vaeName: String { "vae" }
  static var denoiserName: String { "denoiser" }

  var vae: VAE
  var denoiser: Network

  init(_ vae: VAE, _ denoiser: Network) {
    (self.vae, self.denoiser) = (vae, denoiser)
    number(from: 0)
  }

  mutating func visit(
    _ path: String, _ body: (String, inout Parameter) throws -> Void
  ) rethrows {
    try vae.visit("\(path).\(Self.vaeName)", body)
    try denoiser.visit("\(path).\(Self.denoiserName)", body)
  }

  mutating func prepare(training: Bool) { denoiser.prepare(training: training) }
}

/// Both stages at once, from their first weights on: the loss of stage two, and the negative ELBO in
/// nats a pixel. What the second stage's loss says of x̂0 goes back into the VAE, through the draw of z,
/// too.
///
/// Where x̂0 is known as an input only: formulations concat and centred.
struct JointObjective<Network: LearnedDenoiser>: Objective {
  let first: VAEObjective
  /// Without a VAE of its own.
  var second: DiffusionObjective<Network>
  /// Whether updates move the VAE and the denoiser in turn; else both.
  let alternates: Bool

  init(_ configuration: Configuration) throws {
    first = VAEObjective(configuration.vae)
    second = try DiffusionObjective(configuration, vae: nil)
    alternates = configuration.training.plan == .alternating
  }

  var terms: [String] {
    ["loss", "diffusion"] + second.terms.dropFirst() + first.terms.dropFirst()
  }
  var together: Int { second.together }

  var memory: Matrix? {
    get { second.memory }
    set { second.memory = newValue }
  }
  func losses(_ residuals: borrowing Residuals) -> [TimestepLoss] {
    residuals.diffusion.losses
  }
  mutating func learn(_ losses: [TimestepLoss]) { second.learn(losses) }

  func moved(at step: Int, updates: Int) -> (part: String?, updates: Int) {
    guard alternates else { return (nil, updates) }
    typealias Names = BothNetworks<Network>
    return ((movesVAE(at: step) ? Names.vaeName : Names.denoiserName) + ".", updates / 2)
  }

  private func movesVAE(at step: Int) -> Bool { !alternates || step.isMultiple(of: 2) }

  struct Residuals: Sendable {
    let vae: VAEObjective.Residuals
    let diffusion: DiffusionObjective<Network>.Residuals
    /// The VAE's mean images, `[rows, pixels]` in [0, 1].
    let mean: Matrix
    /// Whether the update moves the VAE.
    let movesVAE: Bool
  }

  func forward(
    _ networks: BothNetworks<Network>, _ slice: Slice
  ) -> (terms: [Double], residuals: Residuals) {
    let (firstTerms, vae) = first.forward(networks.vae, slice, keepsOutput: true)
    let mean = networks.vae.mean(ofOutput: vae.vae.output ?? Matrix(0, 0))
    let bare = Known(
      reconstruction: mean.affine(2, -1), z: vae.vae.chain.latents[0], labels: slice.labels)
    let (y0, known) = second.chain(of: slice, bare)
    let (secondTerms, diffusion) = second.forward(networks.denoiser, slice, y0, known)
    return (
      [secondTerms[0] + firstTerms[0] / Double(y0.columns)] + secondTerms
        + firstTerms.dropFirst(),
      Residuals(
        vae: vae, diffusion: diffusion, mean: mean,
        movesVAE: !slice.isTraining || movesVAE(at: slice.step))
    )
  }

  func backward(
    _ networks: BothNetworks<Network>, _ residuals: consuming Residuals,
    _ gradients: inout Gradients
  ) {
    let (vae, mean, derivative) = (residuals.vae, residuals.mean, residuals.diffusion.derivative)
    let withheld = residuals.diffusion.withheld
    guard residuals.movesVAE else {
      return networks.denoiser.backward(
        derivative, (consume residuals).diffusion.network, &gradients)
    }
    let (dx, dImage) = networks.denoiser.backwardToInputs(
      derivative, (consume residuals).diffusion.network, &gradients)
    var d = dImage ?? Matrix(dx.rows, dx.columns)
    if second.process.formulation == .centred { d.add(dx) }
    // x̂0 is in [-1, 1], the mean in [0, 1].
    let isShown = withheld?.map { !$0.contains(.reconstruction) }
    d.scaleRows((0..<d.rows).map { isShown?[$0] ?? true ? 2 : 0 })
    first.backward(
      networks.vae, vae, weight: 1 / Double(dx.columns),
      plus: networks.vae.throughMean(d, mean), &gradients)
  }
}
