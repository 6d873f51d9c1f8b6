import VitalModel

/// A day of the week as shifts name it, Monday first.
package enum Weekday: Int, Sendable, CaseIterable {
  case mon, tue, wed, thu, fri, sat, sun

  /// The name in configurations.
  package var text: String { "\(self)" }

  /// The weekday of a date in days since 1970-01-01, a Thursday.
  package init(day: Int) { self = Weekday.allCases[((day + 3) % 7 + 7) % 7] }
}

/// Who is told at a time: people with their receivers, schedules of shifts, and roles that people or schedules fill.
///
/// A value: the same name, unit and instant give the same receivers.
package struct OnCall: Hashable, Sendable {
  /// A person and where they are told, all of them at once.
  package struct Person: Hashable, Sendable {
    package var id: String
    package var receivers: [String]
    package init(id: String, receivers: [String]) {
      self.id = id
      self.receivers = receivers
    }
  }

  /// One stretch of local time on some days of the week.
  package struct Shift: Hashable, Sendable {
    /// Days the shift begins on.
    package var days: Set<Weekday>
    /// Minutes after local midnight, 0...1439.
    package var from: Int
    /// Minutes after local midnight, 1...1440; at or before ``from``: on the next day.
    package var to: Int
    /// Persons, in the order they are told.
    package var who: [String]
    package init(days: Set<Weekday>, from: Int, to: Int, who: [String]) {
      self.days = days
      self.from = from
      self.to = to
      self.who = who
    }

    /// Begin and end, milliseconds since 1970, of the shift that begins on a date; empty where the clock skips all of it.
    func stretch(day: Int, _ clock: WallClock) -> Range<Int64> {
      let begin = clock.instant(day: day, minute: from, .begin)
      let end = clock.instant(day: to > from ? day : day + 1, minute: to, .end)
      return begin..<max(begin, end)
    }
  }

  /// Others in place of whoever the shifts name, from an instant up to, not including, another, milliseconds since 1970.
  package struct Override: Hashable, Sendable {
    package var from: Int64
    package var to: Int64
    package var who: [String]
    package init(from: Int64, to: Int64, who: [String]) {
      self.from = from
      self.to = to
      self.who = who
    }
  }

  /// Shifts of one zone's local time, and what replaces them.
  package struct Schedule: Hashable, Sendable {
    package var name: String
    package var clock: WallClock
    package var shifts: [Shift]
    /// None overlaps another.
    package var overrides: [Override]
    package init(name: String, clock: WallClock, shifts: [Shift], overrides: [Override] = []) {
      self.name = name
      self.clock = clock
      self.shifts = shifts
      self.overrides = overrides
    }

    /// Persons on duty at an instant, each once, in the order of the shifts.
    package func persons(at time: Int64) -> [String] {
      if let override = overrides.first(where: { $0.from <= time && time < $0.to }) { return override.who }
      let today = clock.day(at: time)
      var found: [String] = []
      for shift in shifts {
        let isOn = (today - 1...today).contains { day in
          shift.days.contains(Weekday(day: day)) && shift.stretch(day: day, clock).contains(time)
        }
        if isOn { found += shift.who }
      }
      return found.withoutRepeats
    }
  }

  /// What somebody is there for, in one care unit or in all that have no entry of their own.
  package struct Role: Hashable, Sendable {
    package var role: String
    package var unit: String?
    /// Schedules and persons, in the order they are told.
    package var who: [String]
    package init(role: String, unit: String? = nil, who: [String]) {
      self.role = role
      self.unit = unit
      self.who = who
    }
  }

  package var people: [Person]
  package var schedules: [Schedule]
  package var roles: [Role]

  package init(people: [Person] = [], schedules: [Schedule] = [], roles: [Role] = []) {
    self.people = people
    self.schedules = schedules
    self.roles = roles
  }

  /// Every name that stands for somebody here.
  package var names: [String] { people.map(\.id) + schedules.map(\.name) + roles.map(\.role) }

  /// Receivers of a person, a schedule, a role or, by its own name, a receiver at an instant, each once and in order.
  ///
  /// - Parameters:
  ///   - unit: the care unit whose role is meant.
  ///   - time: milliseconds since 1970.
  /// - Returns: empty when nobody is on duty. A name that is none of these comes back itself: the caller knows its
  ///   receivers.
  package func receivers(for name: String, unit: String?, at time: Int64) -> [String] {
    if isRole(name) {
      let who = role(name, unit: unit)?.who ?? []
      return who.flatMap { receivers(ofPersonOrSchedule: $0, at: time) ?? [] }.withoutRepeats
    }
    return receivers(ofPersonOrSchedule: name, at: time) ?? [name]
  }

  /// The role's entry for a care unit, else the one for all units.
  package func role(_ name: String, unit: String?) -> Role? {
    let entries = roles.filter { $0.role == name }
    return entries.first { $0.unit != nil && $0.unit == unit } ?? entries.first { $0.unit == nil }
  }

  private func isRole(_ name: String) -> Bool { roles.contains { $0.role == name } }

  private func receivers(ofPersonOrSchedule name: String, at time: Int64) -> [String]? {
    if let person = people.first(where: { $0.id == name }) { return person.receivers }
    guard let schedule = schedules.first(where: { $0.name == name }) else { return nil }
    let persons = schedule.persons(at: time)
    return persons.flatMap { id in people.first { $0.id == id }?.receivers ?? [] }.withoutRepeats
  }
}

extension [String] {
  /// Each element once, where it comes first.
  fileprivate var withoutRepeats: [String] {
    var seen: Set<String> = []
    return filter { seen.insert($0).inserted }
  }
}
