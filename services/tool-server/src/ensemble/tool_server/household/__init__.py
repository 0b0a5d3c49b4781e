"""What the assistant can do in a house, one tool a file."""

from ensemble.tool_server.household.add_reminder import AddReminder
from ensemble.tool_server.household.calculate import Calculate
from ensemble.tool_server.household.cancel_reminder import CancelReminder
from ensemble.tool_server.household.cancel_timer import CancelTimer
from ensemble.tool_server.household.get_date import GetDate
from ensemble.tool_server.household.get_device import GetDevice
from ensemble.tool_server.household.get_time import GetTime
from ensemble.tool_server.household.list_reminders import ListReminders
from ensemble.tool_server.household.list_timers import ListTimers
from ensemble.tool_server.household.recall import Recall
from ensemble.tool_server.household.remember import Remember
from ensemble.tool_server.household.set_device import SetDevice
from ensemble.tool_server.household.set_level import SetLevel
from ensemble.tool_server.household.set_timer import SetTimer
from ensemble.tool_server.ports import Clock, World
from ensemble.tool_server.toolbox import AnyTool


def tools(world: World, clock: Clock) -> tuple[AnyTool, ...]:
    """Return every household tool."""
    return (
        AddReminder(world, clock),
        Calculate(),
        CancelReminder(world),
        CancelTimer(world),
        GetDate(clock),
        GetDevice(world),
        GetTime(clock),
        ListReminders(world, clock),
        ListTimers(world, clock),
        Recall(world),
        Remember(world),
        SetDevice(world),
        SetLevel(world),
        SetTimer(world, clock),
    )
