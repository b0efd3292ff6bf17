"""Laws of the pipeline store: stages in order, one default, one name each."""

import pytest
from hypothesis import strategies as st

from clarin_core.domain.paging import PageQuery
from clarin_core.domain.pipelines import NewPipeline, NewStage, Pipeline, Stage
from clarin_core.errors import Conflict, NotFound
from clarin_core.testing import strategies
from clarin_core.testing.contract import Contract, law
from clarin_core.testing.tenants import LATER, NOON, Tenant


class PipelineLaws(Contract):
    """What `PipelineStore` promises."""

    @law(new=strategies.new_pipelines())
    async def test_a_pipeline_comes_back_as_it_was_added(
        self, account: Tenant, new: NewPipeline
    ) -> None:
        """Its stages are in the order given, at positions from 0 without gaps."""
        pipeline = await add(account, new)
        assert (pipeline.name, pipeline.description) == (new.name, new.description)
        assert [as_new(stage) for stage in pipeline.stages] == list(new.stages or ())
        assert [stage.position for stage in pipeline.stages] == list(range(len(pipeline.stages)))
        assert (pipeline.created_at, pipeline.version, pipeline.is_default) == (NOON, 1, False)
        assert await account.views.pipeline(pipeline.id) == pipeline
        async with account.begin() as tx:
            assert await tx.pipelines.get(pipeline.id) == pipeline
            assert await tx.pipelines.of_stage(pipeline.stages[-1].id) == pipeline

    @law(before=strategies.new_pipelines(), after=strategies.new_pipelines())
    async def test_a_saved_pipeline_comes_back_as_it_was_saved(
        self, account: Tenant, before: NewPipeline, after: NewPipeline
    ) -> None:
        """Name, description and the looks of its stages can all be changed."""
        pipeline = await add(account, before)
        pipeline.alter({"name": after.name, "description": after.description}, at=LATER)
        for stage, new in zip(pipeline.stages, after.stages or (), strict=False):
            stage.name, stage.color, stage.kind = new.name, new.color, new.kind
        await save(account, pipeline)
        assert await account.views.pipeline(pipeline.id) == pipeline

    @law(order=st.permutations(range(6)))
    async def test_a_new_order_is_kept(self, account: Tenant, order: list[int]) -> None:
        """LD8 and property 16: a reorder is a permutation, of the same stages."""
        pipeline = account.pipeline
        wanted = [account.stages[place] for place in order]
        pipeline.reorder(wanted, at=LATER)
        await save(account, pipeline)
        stored = await account.views.pipeline(pipeline.id)
        assert [stage.id for stage in stored.stages] == wanted
        assert [stage.position for stage in stored.stages] == list(range(6))
        assert stored == pipeline

    @law(new=st.lists(strategies.new_stages(), max_size=3))
    async def test_more_stages_go_behind_the_others(
        self, account: Tenant, new: list[NewStage]
    ) -> None:
        """The stages that were there keep their ids and places."""
        async with account.begin() as tx:
            await tx.pipelines.add_stages(account.pipeline.id, new)
            seen = await tx.pipelines.get(account.pipeline.id)
        assert seen.stages[:6] == account.pipeline.stages
        assert [as_new(stage) for stage in seen.stages[6:]] == new
        assert [stage.position for stage in seen.stages] == list(range(6 + len(new)))
        assert await account.views.pipeline(account.pipeline.id) == seen

    @law(place=st.integers(0, 5))
    async def test_a_stage_that_is_left_out_is_removed(self, account: Tenant, place: int) -> None:
        """LD7: the gap is closed, and the stage is as unknown as if it had never been."""
        pipeline = account.pipeline
        removed = pipeline.remove(account.stages[place], at=LATER)
        await save(account, pipeline)
        assert await account.views.pipeline(pipeline.id) == pipeline
        with pytest.raises(NotFound):
            async with account.begin() as tx:
                await tx.pipelines.of_stage(removed.id)

    @law(new=strategies.new_pipelines())
    async def test_a_removed_pipeline_is_gone(self, account: Tenant, new: NewPipeline) -> None:
        """Its stages go with it, the others stay."""
        pipeline = await add(account, new)
        async with account.begin() as tx:
            await tx.pipelines.remove(pipeline.id)
        assert (await account.views.pipelines(PageQuery())).data == [account.pipeline]
        with pytest.raises(NotFound):
            await account.views.pipeline(pipeline.id)
        with pytest.raises(NotFound):
            async with account.begin() as tx:
                await tx.pipelines.of_stage(pipeline.stages[0].id)

    @law()
    async def test_one_pipeline_is_the_default(self, account: Tenant) -> None:
        """Section 3.2: the store tells which, before and after a change of it."""
        other = await account.add_pipeline("Postventa", "Uno")
        async with account.begin() as tx:
            assert await tx.pipelines.default() == account.pipeline
            first, second = await tx.pipelines.all()
            first.is_default, second.is_default = False, True
            await tx.pipelines.save(first)
            await tx.pipelines.save(second)
        async with account.begin() as tx:
            assert (await tx.pipelines.default()).id == other.id
            assert [one.is_default for one in await tx.pipelines.all()] == [False, True]

    @law()
    async def test_pipelines_stand_one_behind_the_other(self, account: Tenant) -> None:
        """A new one comes last, in the store and in the list."""
        names = ["Zeta", "alfa", "Beta"]
        added = [await account.add_pipeline(name, "Uno") for name in names]
        listed = (await account.views.pipelines(PageQuery())).data
        assert listed == [account.pipeline, *added]
        assert sorted(pipeline.position for pipeline in listed) == list(range(4))
        async with account.begin() as tx:
            assert await tx.pipelines.all() == listed

    @law()
    async def test_a_name_belongs_to_one_pipeline(self, account: Tenant) -> None:
        """A second one of the name, ignoring case, conflicts; another account's does not."""
        await account.add_pipeline("Señales", "Uno")
        other = await account.add_pipeline("Otro", "Uno")
        with pytest.raises(Conflict) as added:
            await account.add_pipeline("SEÑALES", "Uno")
        other.name = "señales"
        with pytest.raises(Conflict) as saved:
            await save(account, other)
        assert {added.value.code, saved.value.code} == {"duplicate_pipeline"}
        await (await account.stranger()).add_pipeline("Señales", "Uno")

    @law()
    async def test_stages_of_one_name_are_two_stages(self, account: Tenant) -> None:
        """Names of stages are for people only."""
        pipeline = await account.add_pipeline("Otro", "Uno", "Uno")
        assert len({stage.id for stage in pipeline.stages}) == 2


async def add(account: Tenant, new: NewPipeline) -> Pipeline:
    """Commit a pipeline that is not the default."""
    async with account.begin() as tx:
        return await tx.pipelines.add(new, is_default=False, at=NOON)


async def save(account: Tenant, pipeline: Pipeline) -> None:
    """Commit a pipeline as it is now."""
    async with account.begin() as tx:
        await tx.pipelines.get(pipeline.id)
        await tx.pipelines.save(pipeline)


def as_new(stage: Stage) -> NewStage:
    """Return a stage as it was asked for."""
    return NewStage(name=stage.name, color=stage.color, kind=stage.kind)
