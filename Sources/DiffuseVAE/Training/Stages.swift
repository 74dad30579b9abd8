extension Stage {
  fileprivate var title: String {
    switch self {
    case .vae: "stage one"
    case .prior: "prior"
    case .denoiser: "stage two"
    case .consistency: "consistency model"
    }
  }
}

extension Configuration {
  /// The unconditional baseline has no first stage.
  package var hasVAE: Bool { diffusion.formulation != .unconditional }

  /// Whether both stages' networks are trained at once, as stage one.
  package var trainsTogether: Bool { training.plan != .twoStage }

  /// The stages that there are to train.
  public var stages: [Stage] {
    Stage.allCases.filter { stage in
      switch stage {
      case .vae: hasVAE
      case .prior: hasVAE && prior.kind != .normal
      case .denoiser: true
      case .consistency: consistency.kind != .none
      }
    }
  }

  /// Whether a stage is a training of its own. A mixture is fitted; and where both stages' networks are
  /// trained together, that is the first one.
  func isTrained(_ stage: Stage) -> Bool {
    switch stage {
    case .vae, .consistency: true
    case .prior: prior.kind == .diffusion
    case .denoiser: !trainsTogether
    }
  }

  /// As people read it.
  func title(of stage: Stage) -> String {
    stage == .vae && trainsTogether ? "both stages" : stage.title
  }

  /// Where ``settings(of:)`` are in a configuration file.
  func settingsPath(of stage: Stage) -> String {
    "training.\((stage == .vae && trainsTogether ? .denoiser : stage).rawValue)"
  }

  package func settings(of stage: Stage) -> StageSettings { training[keyPath: path(of: stage)] }

  mutating func setBatch(_ batch: Int, of stage: Stage) {
    training[keyPath: path(of: stage)].batch = batch
  }

  private func path(of stage: Stage) -> WritableKeyPath<TrainingSettings, StageSettings> {
    switch stage {
    case .vae: trainsTogether ? \.denoiser : \.vae
    case .prior: \.prior
    case .denoiser: \.denoiser
    case .consistency: \.consistency
    }
  }
}
