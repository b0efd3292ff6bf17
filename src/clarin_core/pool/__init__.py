"""Running devices: who has which, what each hears, and what each sends.

pool     the devices of this process: leases, a staged start, back-off, a stop in order
run      one device at work, from its session's beginning to its end
ears     what it hears, stored before it is acknowledged
lane     what it sends, one thing after the other
files    what it fetches, beside that
address_book  the names in its phone
failures  how long what fails is left alone
rounds   one thing after the other, while it is connected
errands  what an item of the outbox is to its session
"""
