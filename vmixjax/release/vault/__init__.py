"""What the owner keeps: the secret, and what it takes to undo each mixing.

One SQLite file in a folder of its own, readable by its owner only. It never belongs
into a release: with it, every image can be restored.

All that it holds is sealed with AES-GCM under a key of the vault's own, each row with
the digests of the names that it is found by, so that no part can stand in for another.
With a passphrase that key is itself locked (scrypt, AES-GCM): the vault is of no use
without, and whoever lacks it can remove rows, but neither read nor exchange nor add
any. Without a passphrase the key lies beside what it seals: damage is noticed then,
and what was changed by who does not know the format; who does can change it all. What
protects such a vault are the permissions of its folder.

Of each release it holds a MAC of the whole `release.json`, and so of all files, their
order, their labels and their number. Of the source of each it holds names, sizes and
times of its files, so that what changed in it is told from what did not.
"""

from vmixjax.release.vault.database import FILE_NAME as FILE_NAME
from vmixjax.release.vault.entry import Entry as Entry
from vmixjax.release.vault.rows import Row as Row
from vmixjax.release.vault.rows import RowsFile as RowsFile
from vmixjax.release.vault.vault import Vault as Vault
from vmixjax.release.vault.vault import open_vault as open_vault
