import Configuration
import Instrumentation
import Synchronization
import VitalModel

/// Which receivers hear of what: by the routes, or by who is on duty. Replaced whole by a reload.
final class Routing: Sendable {
  private struct Table {
    var routes: [VigilConfiguration.Route]
    var receivers: [VigilConfiguration.Receiver]
    var onCall: OnCall
    var rights: AnswerRights

    init(_ configuration: VigilConfiguration) {
      routes = configuration.routes
      receivers = configuration.receivers
      onCall = configuration.onCall
      rights = AnswerRights(configuration)
    }
  }

  private let table: Mutex<Table>
  private let unreached: Counter?

  /// - Parameter unreached: counts escalations for a name behind which nobody was found.
  init(_ configuration: VigilConfiguration, unreached: Counter? = nil) {
    table = Mutex(Table(configuration))
    self.unreached = unreached
  }

  func replace(_ configuration: VigilConfiguration) {
    table.withLock { $0 = Table(configuration) }
  }

  var receiverNames: [String] { table.withLock { $0.receivers.map(\.name) } }

  /// Who may answer what is sent.
  var rights: AnswerRights { table.withLock { $0.rights } }

  /// Receivers by name, in the order of the configuration; unknown names are left out.
  func receivers(named names: [String]) -> [VigilConfiguration.Receiver] {
    table.withLock { $0.receivers.filter { names.contains($0.name) } }
  }

  /// Receivers of a document, each once.
  ///
  /// What a ladder has called goes on hearing of its alert. An escalation goes to whoever its name stands for at `time` and to nobody else; where that is nobody it goes by the
  /// routes and is counted, for a page too many is better than one that nobody gets.
  ///
  /// - Parameter time: when the outbox row is written, milliseconds since 1970.
  func receivers(for document: AlertDocument, at time: Int64) -> [VigilConfiguration.Receiver] {
    table.withLock { table in
      guard let name = document.escalatedTo else {
        // Whoever was called hears how it goes on: an answer, a worsening, the end.
        let called = document.calledSteps.flatMap {
          table.onCall.receivers(for: $0, unit: document.locationUnit, at: time)
        }
        var found = Self.routed(document, table)
        for name in called where !found.contains(where: { $0.name == name }) {
          if let receiver = table.receivers.first(where: { $0.name == name }) { found.append(receiver) }
        }
        return found
      }
      let names = table.onCall.receivers(for: name, unit: document.locationUnit, at: time)
      let found = names.compactMap { name in table.receivers.first { $0.name == name } }
      if !found.isEmpty { return found }
      unreached?.add(1)
      return Self.routed(document, table)
    }
  }

  /// In the order of the routes. Without routes everybody hears everything.
  private static func routed(_ document: AlertDocument, _ table: Table) -> [VigilConfiguration.Receiver] {
    if table.routes.isEmpty { return table.receivers }
    var found: [VigilConfiguration.Receiver] = []
    for route in table.routes where route.match.accepts(document) {
      for name in route.receivers where !found.contains(where: { $0.name == name }) {
        if let receiver = table.receivers.first(where: { $0.name == name }) { found.append(receiver) }
      }
    }
    return found
  }
}
