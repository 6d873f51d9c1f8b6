import VitalModel
import YAMLText

/// What is allowed outside production and still deserves a word: each is a way to find out too late.
extension ConfigurationReader {
  /// Warns of alerts nobody gets, addresses delivery will refuse, secrets in the clear, and high alerts nobody follows up.
  mutating func advise() {
    adviseRoutes()
    adviseAddresses()
    adviseAnswers()
    adviseShards()
  }

  private mutating func adviseRoutes() {
    guard !configuration.routes.isEmpty else { return }
    if !configuration.routes.contains(where: { $0.match.isCatchAll }) {
      warnings.add(
        places.routes,
        "no route takes every alert: one that matches none is stored and told to nobody; add `{ to: [...] }`"
      )
    }
    let used = Set(configuration.routes.flatMap(\.receivers))
    let called = Set(configuration.onCall.people.flatMap(\.receivers))
    let heartbeat = configuration.heartbeat?.receiver
    for receiver in configuration.receivers
    where !used.contains(receiver.name) && !called.contains(receiver.name) && receiver.name != heartbeat {
      warnings.add(
        places.receivers[receiver.name] ?? places.root,
        "receiver `\(receiver.name)` is in no route and belongs to nobody: it is told nothing")
    }
  }

  private mutating func adviseAddresses() {
    for receiver in configuration.receivers where !receiver.allowPrivate && receiver.url.address.isPrivateLiteral {
      warnings.add(
        places.receiverURLs[receiver.name] ?? places.root,
        "receiver `\(receiver.name)` has a private address and no `allow_private: true`: delivery refuses it")
    }
    if configuration.api.token != nil, !configuration.listen.isLoopback {
      warnings.add(
        places.http, "`api.token` crosses \(configuration.listen) in the clear: listen on loopback behind a TLS proxy")
    }
    if let url = configuration.api.publicURL, !url.usesTLS, !url.address.isLoopback {
      warnings.add(
        places.root, "`api.public_url` is http://: links to answer an alert travel in the clear, use https://")
    }
  }

  /// An alert that nobody answers is told once, unless a ladder goes on.
  private mutating func adviseAnswers() {
    guard !configuration.receivers.isEmpty, !configuration.onCall.people.isEmpty else { return }
    let isFollowed = configuration.alerting.ladders.contains { $0.priorities.isEmpty || $0.priorities.contains(.high) }
    if !isFollowed {
      warnings.add(
        places.root,
        "no `alerting: escalation` takes high alerts: one that nobody answers is told once and then only if it worsens")
    }
  }

  /// An evaluator sees its own patients only; what compares patients would depend on how they are spread.
  private mutating func adviseShards() {
    guard (configuration.shards ?? 1) > 1 else { return }
    if configuration.alerting.unitBudget > 0 {
      warnings.add(places.root, "`alerting: budget: unit` is off with `engine.shards` above 1")
    }
    configuration.alerting.outagePatients = 0
    configuration.alerting.unitBudget = 0
  }
}
