import VitalModel

/// What routing looks at in an alert.
package struct RoutingTraits: Sendable, Equatable {
  package let priority: Priority
  package let kind: AlertKind
  package let tenant: String
  /// The care unit, nil when the patient has none.
  package let unit: String?

  package init(priority: Priority, kind: AlertKind, tenant: String, unit: String?) {
    self.priority = priority
    self.kind = kind
    self.tenant = tenant
    self.unit = unit
  }
}

/// One line of the routing table: which alerts, and to whom.
package struct Route: Sendable, Equatable {
  /// Empty sets match everything; several sets must all match. A unit set never matches an alert without a unit.
  package struct Match: Sendable, Equatable {
    package var priorities: Set<Priority>
    package var units: Set<String>
    package var tenants: Set<String>
    package var kinds: Set<AlertKind>

    package init(
      priorities: Set<Priority> = [], units: Set<String> = [], tenants: Set<String> = [],
      kinds: Set<AlertKind> = []
    ) {
      self.priorities = priorities
      self.units = units
      self.tenants = tenants
      self.kinds = kinds
    }

    func accepts(_ alert: RoutingTraits) -> Bool {
      (priorities.isEmpty || priorities.contains(alert.priority))
        && (units.isEmpty || alert.unit.map(units.contains) ?? false)
        && (tenants.isEmpty || tenants.contains(alert.tenant))
        && (kinds.isEmpty || kinds.contains(alert.kind))
    }
  }

  package let match: Match
  /// Receiver names, most important first.
  package let to: [String]

  package init(match: Match, to: [String]) {
    self.match = match
    self.to = to
  }
}

/// Decides who is told about an alert: every matching route contributes, in table order, each receiver once.
package struct RoutingTable: Sendable {
  package let routes: [Route]
  /// Alerts that no route matched, since this table was made; an alert nobody is told about must be seen.
  package private(set) var unrouted: UInt64 = 0

  package init(routes: [Route]) { self.routes = routes }

  /// The receivers of one alert, in the order of the table; empty when no route matches.
  package func receivers(for alert: RoutingTraits) -> [String] {
    var names: [String] = []
    for route in routes where route.match.accepts(alert) {
      for name in route.to where !names.contains(name) { names.append(name) }
    }
    return names
  }

  /// As `receivers(for:)`, counting an alert nobody is told about in `unrouted`.
  package mutating func route(_ alert: RoutingTraits) -> [String] {
    let names = receivers(for: alert)
    if names.isEmpty { unrouted += 1 }
    return names
  }

  /// The receiver to tell when `failed` could not be told: the next one in the alert's own order, from the last back to
  /// the first; nil when there is no other.
  package func next(after failed: String, for alert: RoutingTraits) -> String? {
    let names = receivers(for: alert)
    guard let index = names.firstIndex(of: failed) else { return names.first }
    return names.count > 1 ? names[(index + 1) % names.count] : nil
  }

  /// Receivers named by a route but not in `known`, sorted; the configuration check refuses them.
  package func unknownReceivers(known: Set<String>) -> [String] {
    Set(routes.flatMap(\.to)).subtracting(known).sorted()
  }
}
