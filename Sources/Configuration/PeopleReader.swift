import VitalModel
import YAMLText

/// Reads the sections `people`, `schedules` and `roles`: every name in them is known, and each stands for one thing.
struct PeopleReader {
  enum Kind: String { case receiver, person, schedule, role }

  private(set) var onCall = OnCall()
  /// What each name stands for, and where it was first given.
  private(set) var names: [String: (kind: Kind, place: YAMLNode)] = [:]
  /// Where each role's unit was given first.
  private var roleLines: [String: Int] = [:]

  /// - Parameter receivers: names of receivers with their places.
  init(receivers: [String: YAMLNode]) {
    for (name, place) in receivers { names[name] = (.receiver, place) }
  }

  mutating func read(_ top: YAMLMapping, _ problems: inout Problems) {
    for node in top.list("people", &problems) ?? [] { person(node, &problems) }
    for node in top.list("schedules", &problems) ?? [] { schedule(node, &problems) }
    for node in top.list("roles", &problems) ?? [] { role(node, &problems) }
  }

  /// The names of some kinds, for suggestions.
  func names(of kinds: Set<Kind>) -> [String] { names.filter { kinds.contains($0.value.kind) }.map(\.key) }

  // MARK: People

  private mutating func person(_ node: YAMLNode, _ problems: inout Problems) {
    guard let entry = YAMLMapping(node, of: "person", keys: ["id", "receivers"], &problems) else { return }
    let id = name("id", .person, entry, &problems)
    guard let receivers = known("receivers", [.receiver], entry, &problems), let id else { return }
    onCall.people.append(OnCall.Person(id: id, receivers: receivers))
  }

  // MARK: Roles

  private mutating func role(_ node: YAMLNode, _ problems: inout Problems) {
    guard let entry = YAMLMapping(node, of: "role", keys: ["role", "unit", "who"], &problems) else { return }
    let role = name("role", .role, entry, &problems)
    let unit = entry.string("unit", &problems)
    guard let who = known("who", [.schedule, .person], entry, &problems), let role else { return }
    if let line = roleLines.updateValue(node.line, forKey: "\(role) \(unit ?? "")") {
      let whose = unit.map { "unit `\($0)`" } ?? "all units"
      problems.add(entry.place(of: "role"), "role `\(role)` of \(whose) is given twice, first at line \(line)")
      return
    }
    onCall.roles.append(OnCall.Role(role: role, unit: unit, who: who))
  }

  // MARK: Schedules

  private mutating func schedule(_ node: YAMLNode, _ problems: inout Problems) {
    let keys = ["schedule", "zone", "shifts", "overrides"]
    guard let entry = YAMLMapping(node, of: "schedule", keys: keys, &problems) else { return }
    let name = name("schedule", .schedule, entry, &problems)
    let clock = zone(entry, &problems)
    var shifts: [OnCall.Shift] = []
    if entry.has("shifts"), let list = entry.list("shifts", &problems) {
      if list.isEmpty { problems.add(entry.place(of: "shifts"), "`shifts` needs at least one shift") }
      for shift in list { if let shift = self.shift(shift, &problems) { shifts.append(shift) } }
    } else if !entry.has("shifts") {
      problems.add(node, "schedule needs `shifts`")
    }
    let overrides = overrides(entry, &problems)
    guard let name, let clock else { return }
    onCall.schedules.append(OnCall.Schedule(name: name, clock: clock, shifts: shifts, overrides: overrides))
  }

  private func zone(_ entry: YAMLMapping, _ problems: inout Problems) -> WallClock? {
    guard let node = entry.requiredValue("zone", &problems),
      let zone = YAMLMapping.text(node, of: "zone", &problems)
    else { return nil }
    if let clock = WallClock(zone) { return clock }
    problems.add(
      node, "no time zone is called `\(zone)`: give a region and city such as Europe/Berlin, or UTC",
      suggestion: Suggestion.nearest(zone, among: WallClock.zones))
    return nil
  }

  private func shift(_ node: YAMLNode, _ problems: inout Problems) -> OnCall.Shift? {
    guard let entry = YAMLMapping(node, of: "shift", keys: ["days", "from", "to", "who"], &problems) else { return nil }
    let days = days(entry, &problems)
    let from = entry.requiredRead("from", as: "a time of day from 00:00 to 23:59", &problems) { text in
      TimeOfDay.minutes(text).flatMap { $0 < 1440 ? $0 : nil }
    }
    let to = entry.requiredRead("to", as: "a time of day from 00:00 to 24:00", &problems, TimeOfDay.minutes)
    let who = known("who", [.person], entry, &problems)
    guard let from, let to, let who else { return nil }
    guard from != to else {
      problems.add(
        entry.place(of: "to"), "a shift of no length: a whole day is from 00:00 to 24:00, or two shifts that meet")
      return nil
    }
    return OnCall.Shift(days: days, from: from, to: to, who: who)
  }

  /// Weekdays and ranges of them; every day if none are given.
  private func days(_ entry: YAMLMapping, _ problems: inout Problems) -> Set<Weekday> {
    guard let list = entry.list("days", orSingle: true, &problems) else { return Set(Weekday.allCases) }
    if list.isEmpty {
      problems.add(entry.place(of: "days"), "`days` is an empty list: leave the key out for every day")
    }
    var days: Set<Weekday> = []
    for node in list {
      let expected = "a day such as mon, or several such as mon..fri (mon, tue, wed, thu, fri, sat, sun)"
      if let range = YAMLMapping.parsed(node, of: "days", as: expected, &problems, TimeOfDay.days) {
        days.formUnion(range)
      }
    }
    return days
  }

  private func overrides(_ entry: YAMLMapping, _ problems: inout Problems) -> [OnCall.Override] {
    var found: [(override: OnCall.Override, line: Int)] = []
    for node in entry.list("overrides", &problems) ?? [] {
      guard let entry = YAMLMapping(node, of: "override", keys: ["from", "to", "who"], &problems) else { continue }
      for key in ["from", "to"] where !entry.has(key) { problems.add(node, "override needs `\(key)`") }
      let from = entry.time("from", &problems)
      let to = entry.time("to", &problems)
      let who = known("who", [.person], entry, &problems)
      guard let from, let to, let who else { continue }
      guard from < to else {
        problems.add(entry.place(of: "to"), "the override ends before it begins")
        continue
      }
      if let other = found.first(where: { $0.override.from < to && from < $0.override.to }) {
        problems.add(node, "this override overlaps the one at line \(other.line): who is on duty would be a guess")
        continue
      }
      found.append((OnCall.Override(from: from, to: to, who: who), node.line))
    }
    return found.map(\.override)
  }

  // MARK: Names

  /// A name of its own; only a role may be given again, for another unit.
  private mutating func name(
    _ key: String, _ kind: Kind, _ entry: YAMLMapping, _ problems: inout Problems
  ) -> String? {
    let form = "a name without spaces, `/`, `+` or `#`"
    guard let name = entry.requiredRead(key, as: form, &problems, RosterValue.identifier) else { return nil }
    guard let other = names[name] else {
      names[name] = (kind, entry.place(of: key))
      return name
    }
    if other.kind == kind, kind == .role { return name }
    let line = other.place.line
    problems.add(
      entry.place(of: key),
      other.kind == kind
        ? "\(kind.rawValue) `\(name)` is given twice, first at line \(line)"
        : "`\(name)` is already a \(other.kind.rawValue), at line \(line): an escalation could mean either")
    return nil
  }

  /// A list of names of some kinds, at least one of them; nil if the list itself is missing or not one.
  private func known(
    _ key: String, _ kinds: [Kind], _ entry: YAMLMapping, _ problems: inout Problems
  ) -> [String]? {
    if !entry.has(key) { problems.add(entry.node, "\(entry.subject) needs `\(key)`") }
    guard let list = entry.list(key, orSingle: true, &problems) else { return nil }
    if list.isEmpty { problems.add(entry.place(of: key), "`\(key)` is an empty list: nobody would be told") }
    var found: [String] = []
    for node in list {
      guard let name = YAMLMapping.text(node, of: key, &problems) else { continue }
      guard let kind = names[name]?.kind, kinds.contains(kind) else {
        problems.add(
          node, "no \(kinds.map(\.rawValue).joined(separator: " or ")) is called `\(name)`",
          suggestion: Suggestion.nearest(name, among: names(of: Set(kinds))))
        continue
      }
      if !found.contains(name) { found.append(name) }
    }
    return found
  }
}

/// Times of day and days of the week as written.
enum TimeOfDay {
  /// Minutes after midnight of `07:00` up to `24:00`; nil for anything else.
  static func minutes(_ text: String) -> Int? {
    let parts = text.split(separator: ":", omittingEmptySubsequences: false)
    guard parts.count == 2, parts.allSatisfy({ $0.utf8.count == 2 && $0.utf8.allSatisfy { (48...57).contains($0) } }),
      let hour = Int(parts[0]), let minute = Int(parts[1]), minute < 60, hour * 60 + minute <= 1440
    else { return nil }
    return hour * 60 + minute
  }

  /// The text of minutes after midnight.
  static func text(_ minutes: Int) -> String {
    func two(_ number: Int) -> String { number < 10 ? "0\(number)" : "\(number)" }
    return "\(two(minutes / 60)):\(two(minutes % 60))"
  }

  /// `mon`, or `fri..mon` with every day between.
  static func days(_ text: String) -> [Weekday]? {
    let names = text.split(separator: ".", omittingEmptySubsequences: false)
    func day(_ name: Substring) -> Weekday? { Weekday.allCases.first { $0.text == name } }
    if names.count == 1 { return day(names[0]).map { [$0] } }
    guard names.count == 3, names[1].isEmpty, let first = day(names[0]), let last = day(names[2]) else { return nil }
    let count = (last.rawValue - first.rawValue + 7) % 7
    return (0...count).map { Weekday.allCases[(first.rawValue + $0) % 7] }
  }
}
