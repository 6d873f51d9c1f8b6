import VitalModel
import YAMLText

/// Where the things stand that a profile may refuse.
struct ConfigurationPlaces {
  private static let start = YAMLNode(.null, line: 1, column: 1)
  var root = start
  var identity = start
  var http = start
  var routes = start
  var brokers: [YAMLNode] = []
  var receivers: [String: YAMLNode] = [:]
  var receiverURLs: [String: YAMLNode] = [:]
}

extension ConfigurationReader {
  /// What the profile refuses (SEMANTICS E6 and E7).
  mutating func checkProfile() {
    switch configuration.profile {
    case .development:
      warnOfDisclosures()
    case .production:
      if configuration.masterKey == nil {
        problems.add(places.root, "production needs `store.master_key`: patient data is not kept in the clear")
      }
      checkTransports()
      checkRoutes()
    }
  }

  /// Whole alerts may leave the house of a trial without an agreement, never in silence (SEMANTICS E6).
  private mutating func warnOfDisclosures() {
    for receiver in configuration.receivers where receiver.payload == .full && receiver.agreement == nil {
      warnings.add(
        places.receiverURLs[receiver.name] ?? places.root,
        "receiver `\(receiver.name)` is sent whole alerts, with patients and values, and no `agreement` is recorded: "
          + "production refuses this")
    }
  }

  private mutating func checkTransports() {
    if configuration.identity != .roster {
      problems.add(
        places.identity, "`identity: \(configuration.identity.rawValue)` is refused in production: use a roster")
    }
    for (index, broker) in configuration.brokers.enumerated()
    where !broker.url.usesTLS && !broker.url.address.isLoopback {
      let place = index < places.brokers.count ? places.brokers[index] : places.root
      problems.add(
        place, "\(broker.url) is refused in production: mqtt:// leaves the machine in the clear, use mqtts://")
    }
    for receiver in configuration.receivers {
      let place = places.receiverURLs[receiver.name] ?? places.root
      if !receiver.url.usesTLS, !receiver.url.address.isLoopback {
        problems.add(
          place, "receiver `\(receiver.name)` is refused in production: http:// leaves the machine in the clear")
      }
      if receiver.secrets.isEmpty, receiver.format.needsSecret {
        problems.add(place, "receiver `\(receiver.name)` needs `secret` in production")
      }
      if receiver.payload == .full, receiver.agreement == nil {
        problems.add(place, "receiver `\(receiver.name)` needs `agreement` for `payload: full` in production")
      }
    }
    if !configuration.listen.isLoopback {
      problems.add(
        places.http, "listening on \(configuration.listen) is refused in production: plain HTTP stays on loopback")
    }
  }

  private mutating func checkRoutes() {
    if configuration.heartbeat == nil {
      problems.add(places.root, "production needs `heartbeat`, or nobody hears that Vigil has stopped")
    }
    if !configuration.routes.contains(where: { $0.match.isCatchAll && !$0.receivers.isEmpty }) {
      problems.add(places.routes, "production needs a catch-all route, one without `match`")
    }
    let high = configuration.routes.filter(\.match.takesEveryHighAlert)
    if high.count < 2 || Set(high.flatMap(\.receivers)).count < 2 {
      problems.add(
        places.routes,
        "production needs a second route for high priority, to another receiver: two routes that take every high alert")
    }
  }
}
