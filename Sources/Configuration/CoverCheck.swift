import VitalModel
import YAMLText

/// Holds the ladders against who there is: names that stand for nobody are errors, hours without anybody warnings.
struct CoverCheck {
  let people: PeopleReader
  let alerting: AlertingReader

  func run(_ problems: inout Problems, warnings: inout Problems) {
    for step in alerting.steps {
      guard let kind = people.names[step.name]?.kind else {
        problems.add(
          step.place, "no person, role, schedule or receiver is called `\(step.name)`",
          suggestion: Suggestion.nearest(step.name, among: people.names.keys))
        continue
      }
      switch kind {
      case .person, .receiver: break
      case .schedule: warn(of: [step.name], "`\(step.name)`", step.place, &warnings)
      case .role: role(step, &problems, &warnings)
      }
    }
  }

  private func role(_ step: AlertingReader.Step, _ problems: inout Problems, _ warnings: inout Problems) {
    let units = alerting.settings.ladders[step.ladder].units
    let onCall = people.onCall
    for unit in units where onCall.role(step.name, unit: unit) == nil {
      problems.add(step.place, "this step reaches nobody: role `\(step.name)` has no entry for unit `\(unit)`")
    }
    if units.isEmpty, onCall.role(step.name, unit: nil) == nil {
      warnings.add(
        step.place, "role `\(step.name)` has entries for some units only: alerts of others go by the routes instead")
    }
    let entries = onCall.roles.filter { $0.role == step.name }
    let used =
      units.isEmpty
      ? entries
      : entries.filter { entry in
        units.contains { onCall.role(step.name, unit: $0) == entry }
      }
    for entry in used {
      let whose = entry.unit.map { "`\(step.name)` of unit `\($0)`" } ?? "`\(step.name)`"
      warn(of: entry.who, whose, step.place, &warnings)
    }
  }

  /// Says the first stretch of a week in which none of these schedules has anybody; a person is always there.
  private func warn(of who: [String], _ whose: String, _ place: YAMLNode, _ warnings: inout Problems) {
    let schedules = who.compactMap { name in people.onCall.schedules.first { $0.name == name } }
    guard schedules.count == who.count, let gap = CoverGap.first(in: schedules) else { return }
    warnings.add(
      place, "\(whose) has nobody on duty \(gap): an escalation then goes by the routes instead")
  }
}

/// The first stretch without anybody, in words.
enum CoverGap {
  /// By the clock on the wall where all schedules share a zone, since no shift that meets the next leaves a gap when the
  /// clock changes; else over a year of instants. Overrides do not count. nil: there is none.
  static func first(in schedules: [OnCall.Schedule]) -> String? {
    guard let clock = schedules.first?.clock else { return nil }
    let isOneZone = schedules.allSatisfy { $0.clock == clock }
    // 2024-01-01 was a Monday; one day more on either side for shifts over midnight.
    let monday = Timestamp.days(year: 2024, month: 1, day: 1)
    let days = isOneZone ? 7 : 366
    let utc = WallClock("UTC") ?? clock
    let shown = isOneZone ? utc : clock
    var stretches: [Range<Int64>] = []
    for schedule in schedules {
      for day in monday - 2...monday + days + 1 {
        for shift in schedule.shifts where shift.days.contains(Weekday(day: day)) {
          stretches.append(shift.stretch(day: day, isOneZone ? utc : schedule.clock))
        }
      }
    }
    let begin = shown.instant(day: monday, minute: 0, .begin)
    let end = shown.instant(day: monday + days, minute: 0, .begin)
    guard let gap = first(between: stretches, from: begin, to: end) else { return nil }
    return "from \(text(gap.from, shown)) to \(text(gap.to, shown)) (\(clock.zone))"
  }

  private static func first(between stretches: [Range<Int64>], from: Int64, to: Int64) -> (from: Int64, to: Int64)? {
    var covered = from
    for stretch in stretches.sorted(by: { $0.lowerBound < $1.lowerBound }) {
      if stretch.lowerBound > covered { break }
      covered = max(covered, stretch.upperBound)
    }
    guard covered < to else { return nil }
    let next = stretches.map(\.lowerBound).filter { $0 > covered }.min() ?? to
    return (covered, next)
  }

  private static func text(_ time: Int64, _ clock: WallClock) -> String {
    let day = clock.day(at: time)
    let minutes = Int((time - clock.instant(day: day, minute: 0, .begin)) / 60_000)
    return "\(Weekday(day: day).text) \(TimeOfDay.text(minutes))"
  }
}
